#include "hardware/surroundings.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "hardware/cpu.h"
#include "hardware/files.h"

namespace velollm::hardware {
namespace {

struct Word {
    std::string_view text;  // part of what is read, in lower case
    std::string_view type;
};

/// Maker and product of the board's firmware. The order matters: makers that run others' hypervisors come first.
constexpr std::array kBoards{
    Word{"amazon ec2", "amazon"},
    Word{"google compute engine", "google"},
    Word{"virtualbox", "virtualbox"},
    Word{"innotek", "virtualbox"},
    Word{"vmware", "vmware"},
    Word{"microsoft corporation virtual machine", "microsoft"},
    Word{"parallels", "parallels"},
    Word{"apple virtualization", "apple"},
    Word{"bhyve", "bhyve"},
    Word{"xen", "xen"},
    Word{"qemu", "kvm"},
    Word{"kvm", "kvm"},
    Word{"openstack", "kvm"},
    Word{"digitalocean", "kvm"},
    Word{"hetzner vserver", "kvm"},
    Word{"alibaba cloud ecs", "kvm"},
};
constexpr std::array kGroups{
    Word{"kubepods", "kubernetes"},   Word{"libpod", "podman"},
    Word{"docker", "docker"},         Word{"/lxc", "lxc"},
    Word{"containerd", "containerd"}, Word{"machine.slice", "systemd-nspawn"},
};

bool exists(const system::System& system, std::string_view path) {
    std::error_code ignored;
    return std::filesystem::exists(under_root(system, path), ignored);
}

bool has_word(std::string_view words, std::string_view word) {
    for (const std::string_view one : base::split(words, ' '))
        if (one == word) return true;
    return false;
}

/// The disk that is mounted at "/", e.g. "/dev/vda"; empty when that is none, as in a container.
std::string root_disk(std::string_view mountinfo) {
    for (const std::string_view line : base::split(mountinfo, '\n')) {
        const std::size_t dash = line.find(" - ");
        if (dash == std::string_view::npos) continue;
        const auto before = base::split(line.substr(0, dash), ' ');
        const auto after = base::split(line.substr(dash + 3), ' ');
        if (before.size() < 5 || after.size() < 2 || before[3] != "/" || before[4] != "/") continue;
        for (const std::string_view disk : {"/dev/vd", "/dev/sd", "/dev/nvme", "/dev/xvd", "/dev/mmcblk", "/dev/root"})
            if (after[1].starts_with(disk)) return base::one_line(after[1], 40);
    }
    return {};
}

void add(std::string& type, std::vector<std::string>& evidence, std::string_view found, std::string why) {
    if (type.empty()) type = found;
    evidence.push_back(std::move(why));
}

void look_for_machine(Surroundings& found, const system::System& system, std::string_view kernel_release) {
    const auto vm = [&](std::string_view type, std::string why) {
        add(found.virtualization, found.virtualization_evidence, type, std::move(why));
    };
    found.wsl = base::lower(kernel_release).find("microsoft") != std::string::npos;
    if (found.wsl) vm("wsl", fmt::format("kernel {}", kernel_release));
    if (exists(system, "/dev/dxg")) vm("wsl", "/dev/dxg");

    const bool flag = has_word(parse_cpuinfo(read_text(system, "/proc/cpuinfo")).flags, "hypervisor");
    const std::string board = fmt::format("{} {}", read_word(system, "/sys/class/dmi/id/sys_vendor"),
                                          read_word(system, "/sys/class/dmi/id/product_name"));
    const std::string low = base::lower(board);
    // A whole machine of a cloud has the cloud's name as well, but no hypervisor.
    const bool bare = low.find(".metal") != std::string::npos;
    for (const Word& word : kBoards) {
        if (bare || low.find(word.text) == std::string::npos) continue;
        vm(word.type, fmt::format("/sys/class/dmi/id: {}", base::one_line(board, 80)));
        break;
    }
    if (const std::string type = read_word(system, "/sys/hypervisor/type"); !type.empty())
        vm(base::one_line(type, 40), "/sys/hypervisor/type");
    if (const std::string tree = read_word(system, "/sys/firmware/devicetree/base/hypervisor/compatible");
        !tree.empty())
        vm(tree.find("kvm") != std::string::npos ? "kvm" : "vm", "/sys/firmware/devicetree/base/hypervisor");
    if (flag) vm("vm", "/proc/cpuinfo: hypervisor");
}

void look_for_container(Surroundings& found, const system::System& system) {
    const auto box = [&](std::string_view type, std::string why) {
        add(found.container, found.container_evidence, type, std::move(why));
    };
    if (system.variable("KUBERNETES_SERVICE_HOST")) box("kubernetes", "environment: KUBERNETES_SERVICE_HOST");
    if (exists(system, "/var/run/secrets/kubernetes.io")) box("kubernetes", "/var/run/secrets/kubernetes.io");
    const std::string self = base::lower(read_text(system, "/proc/self/cgroup"));
    for (const Word& word : kGroups) {
        if (self.find(word.text) == std::string::npos) continue;
        box(word.type, fmt::format("/proc/self/cgroup: {}", word.text));
        break;
    }
    if (exists(system, "/run/.containerenv")) box("podman", "/run/.containerenv");
    if (exists(system, "/.dockerenv")) {
        // A machine whose disk was made from an image has the file as well.
        const std::string disk = root_disk(read_text(system, "/proc/self/mountinfo"));
        if (disk.empty())
            box("docker", "/.dockerenv");
        else
            found.container_evidence.push_back(fmt::format("/.dockerenv, but / is the disk {}: no container", disk));
    }
    for (const std::string_view path : {"/run/systemd/container", "/run/host/container-manager"})
        if (const std::string word = read_word(system, path); !word.empty())
            box(base::one_line(word, 40), std::string(path));
    if (const auto word = system.variable("container")) box(base::one_line(*word, 40), "environment: container");
}

}  // namespace

Surroundings read_surroundings(const system::System& system, std::string_view kernel_release,
                               std::string_view cgroup_version) {
    Surroundings found;
    found.cgroup = cgroup_version;
    look_for_machine(found, system, kernel_release);
    look_for_container(found, system);
    return found;
}

}  // namespace velollm::hardware
