#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace velollm {

/// What kind of failure it was; a command turns it into an exit code (see docs/overview.md).
enum class ErrorCode {
    kFailed,         ///< anything not named below
    kUsage,          ///< the caller asked for something impossible
    kUnreachable,    ///< no server answers at the address
    kModelNotFound,  ///< the server or the disk has no such model
    kNoValidResult,  ///< it was measured, and nothing usable came out
    kInterrupted,    ///< the user stopped it
};

/// An expected failure: what happened, and what the reader can do about it. `hint` may hold several lines.
struct Error {
    ErrorCode code = ErrorCode::kFailed;
    std::string message;
    std::string hint;
};

/// A value, or the reason why there is none. Read the value only after testing.
template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::move(value)) {}
    Result(Error error) : state_(std::move(error)) {}

    explicit operator bool() const { return std::holds_alternative<T>(state_); }
    bool has_value() const { return static_cast<bool>(*this); }

    T& value() & { return checked(); }
    const T& value() const& { return std::get<T>(state_); }
    T&& value() && { return std::move(checked()); }
    T& operator*() & { return checked(); }
    const T& operator*() const& { return std::get<T>(state_); }
    T* operator->() { return &checked(); }
    const T* operator->() const { return &std::get<T>(state_); }

    const Error& error() const { return std::get<Error>(state_); }

private:
    T& checked() {
        assert(has_value());
        return std::get<T>(state_);
    }

    std::variant<T, Error> state_;
};

/// A step that yields nothing but may fail.
template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)), failed_(true) {}

    explicit operator bool() const { return !failed_; }
    bool has_value() const { return !failed_; }
    const Error& error() const { return error_; }

private:
    Error error_;
    bool failed_ = false;
};

}  // namespace velollm
