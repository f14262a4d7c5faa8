#include "hardware/probe_kernels.h"

namespace velollm::hardware {

ProbeKernels best_kernels() {
    return portable_kernels();
}

}  // namespace velollm::hardware
