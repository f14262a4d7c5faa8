add_library(velollm_warnings INTERFACE)
target_compile_options(velollm_warnings INTERFACE
  $<$<CXX_COMPILER_ID:GNU,Clang>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
    -Wnon-virtual-dtor -Woverloaded-virtual -Wformat=2
    # A designated initialiser leaves the rest to the struct's own defaults: that is what they are for.
    -Wno-missing-field-initializers>
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wlogical-op -Wuseless-cast -Wsuggest-override>)
if(VELOLLM_WERROR)
  target_compile_options(velollm_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Werror>)
endif()
