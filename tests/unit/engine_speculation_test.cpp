#include <gtest/gtest.h>
#include <llama.h>

#include <memory>
#include <string>
#include <vector>

#include "backend/embedded.h"
#include "backend/embedded_speculation.h"
#include "backend/llama_library.h"
#include "gguf/gguf.h"
#include "system/system.h"

#ifdef VELOLLM_MODEL
namespace velollm::backend::engine_speculation_test {
namespace {

constexpr const char* kList =
    "Write these lines down again, word by word:\n"
    "The first box holds seven green apples and a rope.\n"
    "The second box holds nine red candles and a map.\n"
    "The third box holds three blue bottles and a drum.\n\n"
    "The first box holds seven green apples and a rope.\n";

/// Where the same words come round, and something else stands behind them each time.
constexpr const char* kCount =
    "Item 1 costs 17 euros and is red. Item 2 costs 23 euros and is green. Item 3 costs 38 euros and is blue. Item 4 "
    "costs";

/// Everything that one request brought.
struct Answer final : TokenSink {
    std::string text;
    std::vector<TimePoint> stamps;
    std::optional<Completion> end;

    void on_sent(RequestId, TimePoint, std::optional<Ns>) override {}
    void on_first_byte(RequestId, TimePoint) override {}
    void on_tokens(RequestId, TimePoint at, const TokenEvent& event) override {
        text += event.text;
        stamps.push_back(at);
    }
    void on_done(RequestId, TimePoint, const Completion& completion) override { end = completion; }

    std::size_t steps() const {
        std::size_t count = stamps.empty() ? 0 : 1;
        for (std::size_t i = 1; i < stamps.size(); ++i) count += stamps[i] > stamps[i - 1] ? 1U : 0U;
        return count;
    }
    std::int64_t drafted() const { return end->server.draft_tokens.value_or(-1); }
    std::int64_t accepted() const { return end->server.accepted_tokens.value_or(-1); }
};

class EmbeddedSpeculation : public testing::Test {
protected:
    EmbeddedSpec spec(const std::string& speculation) const {
        EmbeddedSpec spec;
        spec.file = *gguf::read_model_file(VELOLLM_MODEL);
        spec.model = "model";
        spec.raw = true;
        spec.options.num_ctx = 512;
        spec.options.speculation = speculation;
        return spec;
    }

    /// Answers to all prompts, by one engine: what a request leaves behind must not reach the next.
    std::vector<Answer> answers(EmbeddedSpec spec, const std::vector<Prompt>& prompts) {
        std::vector<Answer> out(prompts.size());
        auto engine = make_embedded_backend(std::move(spec), clock_);
        EXPECT_TRUE(engine) << engine.error().message;
        const auto loaded = (*engine)->load();
        EXPECT_TRUE(loaded) << loaded.error().message;
        if (!loaded) return out;
        for (std::size_t i = 0; i < prompts.size(); ++i) {
            (*engine)->start(i, prompts[i], out[i]);
            while (!out[i].end) (*engine)->poll(clock_.now());
            EXPECT_EQ(out[i].end->outcome, Outcome::kOk) << out[i].end->error.message;
        }
        return out;
    }

    system::SteadyClock clock_;
};

TEST_F(EmbeddedSpeculation, GivesTheSameTextInFewerSteps) {
    const std::vector<Prompt> prompts{{kList, 40, 0}, {kCount, 60, 0}, {kList, 1, 0}};
    const auto plain = answers(spec("off"), prompts);
    const auto drafted = answers(spec("ngram"), prompts);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        EXPECT_EQ(drafted[i].text, plain[i].text);
        EXPECT_EQ(drafted[i].stamps.size(), static_cast<std::size_t>(prompts[i].max_tokens));
        EXPECT_EQ(drafted[i].end->server.output_tokens, prompts[i].max_tokens);
        EXPECT_EQ(plain[i].drafted(), -1);
        // The first token comes from the prompt; each later step brings one token that no draft held.
        EXPECT_EQ(drafted[i].steps() + static_cast<std::size_t>(drafted[i].accepted()), drafted[i].stamps.size());
    }
    EXPECT_GT(drafted[0].accepted(), 15);
    EXPECT_GE(drafted[0].drafted(), drafted[0].accepted());
    EXPECT_LT(drafted[0].steps(), 30U);
    EXPECT_GT(drafted[1].accepted(), 0);
    EXPECT_GT(drafted[1].drafted(), drafted[1].accepted()) << "no draft was wrong: nothing was taken back";
    EXPECT_EQ(drafted[2].drafted(), 0);  // one token needs no draft
}

TEST_F(EmbeddedSpeculation, KeepsToTheNumberOfDraftTokens) {
    EmbeddedSpec two = spec("ngram");
    two.options.draft_tokens = 2;
    const auto answer = answers(std::move(two), {{kList, 40, 0}}).front();
    std::size_t together = 1;
    for (std::size_t i = 1, run = 1; i < answer.stamps.size(); ++i) {
        run = answer.stamps[i] == answer.stamps[i - 1] ? run + 1 : 1;
        together = std::max(together, run);
    }
    EXPECT_EQ(together, 3U);
}

TEST_F(EmbeddedSpeculation, WithAModelGivesTheSameText) {
    const std::vector<Prompt> prompts{{"The sea is wide, and the ships on it", 24, 0}, {kList, 12, 0}};
    const auto plain = answers(spec(""), prompts);
    EmbeddedSpec itself = spec("");
    itself.draft_file = VELOLLM_MODEL;
    const auto drafted = answers(std::move(itself), prompts);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        EXPECT_EQ(drafted[i].text, plain[i].text);
        // It foresees itself, but for what rounds otherwise in a batch.
        EXPECT_GT(drafted[i].accepted(), drafted[i].drafted() * 2 / 3);
        EXPECT_GT(drafted[i].drafted(), 6);
    }
}

TEST(ModelDrafter, ForgetsWhatTheTextDidNotBecome) {
    start_llama_once();
    const std::unique_ptr<llama_model, FreeModel> model(
        llama_model_load_from_file(VELOLLM_MODEL, llama_model_default_params()));
    ASSERT_TRUE(model);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 256;
    params.n_threads = params.n_threads_batch = 1;
    const auto fresh = [&] { return make_model_drafter(VELOLLM_MODEL, model.get(), params, -1); };
    const std::vector<TokenId> begin{504, 3280, 314, 260, 2240, 282};
    const std::vector<TokenId> became{504, 3280, 314, 260, 2240, 282, 700, 810, 920};
    const auto used = fresh();
    const auto unused = fresh();
    ASSERT_TRUE(used && unused);
    ASSERT_TRUE((*used)->begin(begin) && (*used)->draft(begin, 6) && (*unused)->begin(became));
    const auto after = (*used)->draft(became, 6);
    const auto alone = (*unused)->draft(became, 6);
    ASSERT_TRUE(after && alone);
    EXPECT_EQ(*after, *alone);
    EXPECT_EQ(after->size(), 6U);
}

TEST_F(EmbeddedSpeculation, SaysWhatItIs) {
    EmbeddedSpec ngram = spec("ngram");
    ngram.options.draft_tokens = 5;
    const auto info = (*make_embedded_backend(std::move(ngram), clock_))->describe();
    ASSERT_TRUE(info && info->speculation);
    EXPECT_EQ(info->speculation->type, "ngram");
    EXPECT_EQ(info->speculation->draft_tokens, 5);
    EXPECT_EQ(info->settings.at("draft_tokens"), "5");
    EXPECT_FALSE((*make_embedded_backend(spec("off"), clock_))->describe()->speculation);
    for (const char* name : {"draft-simple", "ngram-mod", "nonsense"})
        EXPECT_FALSE(make_embedded_backend(spec(name), clock_)) << name;
    EmbeddedSpec count_alone = spec("");
    count_alone.options.draft_tokens = 5;
    EXPECT_FALSE(make_embedded_backend(std::move(count_alone), clock_));
}

}  // namespace
}  // namespace velollm::backend::engine_speculation_test
#endif
