#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/text.h"
#include "hardware/cpu.h"
#include "hardware/detect.h"
#include "support/temp_folder.h"
#include "system/system.h"

namespace velollm::test {

/// A machine in one file, tests/hosts/NAME.tree: "# text" says what it is, "#! key = value" what the kernel answers by
/// calls (arch, release, allowed) or what the environment holds (env NAME), "== path" begins a file's text.
class HostTree {
public:
    explicit HostTree(const std::filesystem::path& tree) {
        system_.root = folder_.path();
        const std::string text = system::read_file(tree).value_or("");
        std::string path;
        std::string content;
        const auto put = [&] {
            if (!path.empty()) folder_.write(path, content);
            content.clear();
        };
        for (const std::string_view line : base::split(text, '\n')) {
            if (line.starts_with("== ")) {
                put();
                path = line.substr(3);
            } else if (path.empty()) {
                if (line.starts_with("#! ")) answer(line.substr(3));
            } else {
                content += std::string(line) + "\n";
            }
        }
        put();
    }

    Hardware detect() const { return hardware::detect(system_, kernel_); }
    const system::System& system() const { return system_; }

private:
    void answer(std::string_view line) {
        const std::size_t equals = line.find('=');
        const std::string_view key = base::trim(line.substr(0, equals));
        const std::string value(base::trim(line.substr(equals + 1)));
        if (key == "arch") kernel_.arch = value;
        if (key == "release") kernel_.release = value;
        if (key == "allowed") kernel_.allowed_cpus = hardware::parse_cpu_list(value);
        if (key.starts_with("env ")) system_.env[std::string(key.substr(4))] = value;
    }

    TempFolder folder_;
    system::System system_;
    hardware::KernelAnswers kernel_{.allowed_cpus = {}, .arch = "x86_64", .release = "6.8.0"};
};

}  // namespace velollm::test
