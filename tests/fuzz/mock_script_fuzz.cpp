#include "fuzz.h"
#include "serde/mock_script.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using velollm::fuzz::require;
    const auto program = velollm::serde::read_mock_script(velollm::fuzz::as_text(data, size), "fuzz");
    if (!program) {
        require(!program.error().message.empty() && !program.error().hint.empty(), "an error says what and what to do");
        return 0;
    }
    require(!program->requests.empty(), "there is an answer to every request");
    for (const auto& script : program->requests)
        require(!script.rate_model || script.steps.empty(), "a script has steps or rates");
    return 0;
}
