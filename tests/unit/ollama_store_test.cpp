#include "gguf/ollama_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/ollama_store_model.h"
#include "support/temp_folder.h"

namespace velollm::gguf::ollama_store_test {
namespace {

using test::TempFolder;

const std::string kHex(64, 'a');
const std::string kDigest = "sha256:" + kHex;

std::string manifest_text(std::string_view digest) {
    return R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.docker.container.image.v1+json"},"layers":[)"
           R"({"mediaType":"application/vnd.ollama.image.template","digest":"sha256:0","size":9},)"
           R"({"mediaType":"application/vnd.ollama.image.model","digest":")" +
           std::string(digest) + R"(","size":4}]})";
}

/// A store in a folder of its own, and a machine whose OLLAMA_MODELS leads there.
struct Store {
    TempFolder folder;
    system::System system{folder.path(), {{"OLLAMA_MODELS", folder.path().string()}, {"HOME", "/nowhere"}}};

    std::vector<std::filesystem::path> folders() const { return backend::ollama_stores(system); }
    void add(const std::string& path, std::string_view text = manifest_text(kDigest)) const {
        folder.write("manifests/" + path, text);
    }
    void add_blob() const { folder.write("blobs/sha256-" + kHex, "GGUF"); }
};

TEST(OllamaStore, NamesTakeOllamasDefaults) {
    const StoreName plain = *parse_store_name("llama3.2");
    EXPECT_EQ(plain, (StoreName{"registry.ollama.ai", "library", "llama3.2", "latest"}));
    EXPECT_EQ(parse_store_name("llama3.2:3b")->tag, "3b");
    EXPECT_EQ(*parse_store_name("user/model:v1"), (StoreName{"registry.ollama.ai", "user", "model", "v1"}));
    EXPECT_EQ(*parse_store_name("hf.co/bartowski/Llama-3.2-1B-GGUF:Q4_K_M"),
              (StoreName{"hf.co", "bartowski", "Llama-3.2-1B-GGUF", "Q4_K_M"}));
    EXPECT_EQ(*parse_store_name("localhost:5000/a/b"), (StoreName{"localhost:5000", "a", "b", "latest"}));
}

TEST(OllamaStore, NamesReadAsOllamaListShowsThem) {
    for (const char* name : {"llama3.2:3b", "user/model:v1", "hf.co/user/model:Q4_K_M"})
        EXPECT_EQ(parse_store_name(name)->text(), name);
    EXPECT_EQ(parse_store_name("registry.ollama.ai/library/llama3.2")->text(), "llama3.2:latest");
}

TEST(OllamaStore, NoNameLeadsOutOfTheStore) {
    for (const char* name :
         {"",   "/",  "..",      "../x",  "a/../b",  "a/..", "a:..", "a:../../x", "/etc/passwd", "a//b", "a/",
          "a:", ":b", "a/b/c/d", "a:b:c", ".hidden", "a:.b", "-x",   "a b",       "a\nb",        "a\\b", "a@sha256"}) {
        const auto parsed = parse_store_name(name);
        ASSERT_FALSE(parsed) << name;
        EXPECT_EQ(parsed.error().code, ErrorCode::kUsage) << name;
    }
    EXPECT_FALSE(parse_store_name(std::string("a\0b", 3)));
    EXPECT_FALSE(parse_store_name(std::string(256, 'a')));
}

TEST(OllamaStore, FindsTheWeightsOfAModel) {
    const Store store;
    store.add("registry.ollama.ai/library/llama3.2/3b");
    store.add_blob();
    const auto model = backend::find_stored_model(store.system, "llama3.2:3b");
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->name, "llama3.2:3b");
    EXPECT_EQ(model->file, store.folder.path() / "blobs" / ("sha256-" + kHex));
    EXPECT_EQ(model->digest, kDigest);
}

TEST(OllamaStore, CapitalLettersDontMatter) {
    const Store store;
    store.add("hf.co/Bartowski/Tiny-GGUF/Q4_K_M");
    const auto manifest = find_manifest(store.folders(), "HF.co/bartowski/tiny-gguf:q4_k_m");
    ASSERT_TRUE(manifest) << manifest.error().message;
    EXPECT_EQ(manifest->name.text(), "hf.co/Bartowski/Tiny-GGUF:Q4_K_M");
}

TEST(OllamaStore, LooksInTheHomeThenWhereServicesKeepTheirs) {
    const TempFolder folder;
    const system::System system{folder.path(), {{"HOME", (folder.path() / "home").string()}}};
    const auto found_in = [&] {
        const auto manifest = find_manifest(backend::ollama_stores(system), "a");
        return manifest ? manifest->store.lexically_relative(folder.path()).string() : manifest.error().message;
    };
    for (const char* store :
         {"var/lib/ollama/.ollama/models", "usr/share/ollama/.ollama/models", "home/.ollama/models"}) {
        folder.write(std::string(store) + "/manifests/registry.ollama.ai/library/a/latest", "{}");
        EXPECT_EQ(found_in(), store);
    }

    const system::System elsewhere{folder.path(), {{"OLLAMA_MODELS", (folder.path() / "empty").string()}}};
    EXPECT_FALSE(
        find_manifest(backend::ollama_stores(elsewhere), "a"));  // a stated folder is the only one, as for the server
}

TEST(OllamaStore, ListsModelsAndSkipsWhatIsNone) {
    const Store store;
    store.add("registry.ollama.ai/library/llama3.2/3b");
    store.add("registry.ollama.ai/library/llama3.2/1b");
    store.add("hf.co/user/model/Q4_0");
    store.add("registry.ollama.ai/library/llama3.2/.DS_Store");
    store.add("registry.ollama.ai/library/stray");
    EXPECT_EQ(list_models(store.folders()),
              (std::vector<std::string>{"hf.co/user/model:Q4_0", "llama3.2:1b", "llama3.2:3b"}));
    EXPECT_TRUE(list_models({store.folder.path() / "none"}).empty());
}

TEST(OllamaStore, AMissingModelOffersItsNeighbours) {
    const Store store;
    store.add("registry.ollama.ai/library/llama3.2/1b");
    store.add("registry.ollama.ai/library/qwen3/30b-a3b");
    const auto model = backend::find_stored_model(store.system, "llama3.2:3b");
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::kModelNotFound);
    EXPECT_EQ(model.error().message, "Model not found: llama3.2:3b (in " + store.folder.path().string() + ")");
    EXPECT_EQ(model.error().hint, "ollama pull llama3.2:3b\nModels with a similar name: llama3.2:1b");
}

TEST(OllamaStore, AMachineWithoutAStoreSaysWhereItLooked) {
    const auto model = backend::find_stored_model(system::System{"/", {{"OLLAMA_MODELS", "/nowhere"}}}, "llama3.2");
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::kModelNotFound);
    EXPECT_EQ(model.error().message, "Model not found: llama3.2:latest; no Ollama store in /nowhere");
}

TEST(OllamaStore, SaysWhatIsBrokenInAModel) {
    const Store store;
    store.add("registry.ollama.ai/library/torn/latest", "{\"layers\":[");
    store.add("registry.ollama.ai/library/empty/latest", "{}");
    store.add("registry.ollama.ai/library/cloud/latest", R"({"layers":[]})");
    store.add("registry.ollama.ai/library/escape/latest", manifest_text("sha256:../../../../etc/passwd"));
    store.add("registry.ollama.ai/library/gone/latest");
    store.add("registry.ollama.ai/library/vast/latest", manifest_text(kDigest) + std::string(2 << 20, ' '));
    const auto message = [&](const char* name) {
        const auto model = backend::find_stored_model(store.system, name);
        return model ? "no error"
                     : model.error().message.substr(0, model.error().message.find(store.folder.path().string()));
    };
    EXPECT_EQ(message("torn"), "Broken Ollama manifest: ");
    EXPECT_EQ(message("empty"), "Broken Ollama manifest: ");
    EXPECT_EQ(message("vast"), "Broken Ollama manifest: ");
    EXPECT_EQ(message("cloud"), "cloud:latest has no GGUF weights in the Ollama store");
    EXPECT_EQ(message("escape"), "Broken Ollama manifest: ");
    EXPECT_EQ(message("gone"), "The weights of gone:latest are missing from the Ollama store: ");
    EXPECT_EQ(backend::find_stored_model(store.system, "gone").error().hint,
              "Fetch the model again: ollama pull gone:latest");
}

TEST(OllamaStore, AClosedStoreIsNotAnEmptyOne) {
    const Store store;
    store.add("registry.ollama.ai/library/a/latest");
    ASSERT_EQ(::chmod(store.folder.path().c_str(), 0755), 0);
    ASSERT_EQ(::chmod((store.folder.path() / "manifests").c_str(), 0), 0);
    const bool root = ::geteuid() == 0;  // root reads everything, so it becomes someone else for the attempt
    ASSERT_TRUE(!root || ::seteuid(65534) == 0) << "root without the right to become another user";
    const auto manifest = find_manifest(store.folders(), "a");
    ASSERT_TRUE(!root || ::seteuid(0) == 0);
    ASSERT_EQ(::chmod((store.folder.path() / "manifests").c_str(), 0755), 0);
    ASSERT_FALSE(manifest);
    EXPECT_EQ(manifest.error().code, ErrorCode::kFailed);
    EXPECT_EQ(manifest.error().message,
              "Cannot read the Ollama models in " + store.folder.path().string() + ": Permission denied");
    EXPECT_NE(manifest.error().hint.find("usermod"), std::string::npos);
}

}  // namespace
}  // namespace velollm::gguf::ollama_store_test
