#include "load/nonce.h"

#include <array>
#include <string_view>

#include "base/split_mix.h"

namespace velollm::load {
namespace {

/// Short common words: one token each in most vocabularies, so that every nonce is equally long.
constexpr std::array<std::string_view, 256> kWords = {
    "able",    "acid",   "age",    "air",    "arm",   "art",    "back",   "bag",    "ball",   "band",    "bank",
    "bar",     "base",   "bath",   "bear",   "beat",  "bed",    "bell",   "belt",   "bike",   "bill",    "bird",
    "bit",     "block",  "blood",  "blue",   "board", "boat",   "body",   "bone",   "book",   "born",    "box",
    "boy",     "bread",  "bridge", "bright", "brown", "brush",  "bus",    "cake",   "call",   "camp",    "can",
    "cap",     "car",    "card",   "care",   "case",  "cat",    "chain",  "chair",  "chest",  "child",   "city",
    "class",   "clean",  "clear",  "clock",  "cloth", "cloud",  "coal",   "coat",   "code",   "cold",    "color",
    "cook",    "cool",   "copy",   "corn",   "cost",  "cover",  "cow",    "crop",   "cross",  "crowd",   "cup",
    "cut",     "dance",  "dark",   "date",   "day",   "deep",   "desk",   "dish",   "dog",    "door",    "dress",
    "drink",   "drive",  "dry",    "dust",   "ear",   "earth",  "east",   "edge",   "egg",    "engine",  "eye",
    "face",    "fact",   "fair",   "farm",   "fast",  "father", "field",  "film",   "fire",   "fish",    "fit",
    "flag",    "flat",   "floor",  "flow",   "fly",   "fold",   "food",   "foot",   "form",   "frame",   "free",
    "fresh",   "friend", "front",  "fruit",  "full",  "game",   "gate",   "gift",   "girl",   "glass",   "goat",
    "gold",    "good",   "grain",  "grand",  "grass", "gray",   "green",  "ground", "group",  "guard",   "guide",
    "gun",     "hair",   "hall",   "hand",   "hat",   "head",   "health", "heart",  "heat",   "hill",    "hold",
    "home",    "hope",   "horse",  "hot",    "hour",  "house",  "ice",    "idea",   "iron",   "island",  "job",
    "join",    "judge",  "juice",  "jump",   "key",   "kind",   "king",   "knee",   "knife",  "lady",    "lake",
    "lamp",    "land",   "large",  "law",    "lead",  "leaf",   "left",   "leg",    "letter", "level",   "light",
    "line",    "lion",   "list",   "lock",   "long",  "loss",   "love",   "low",    "lunch",  "machine", "man",
    "map",     "mark",   "mass",   "match",  "meal",  "meat",   "milk",   "mind",   "mine",   "model",   "moon",
    "morning", "mother", "mount",  "mouse",  "mouth", "music",  "nail",   "name",   "neck",   "need",    "needle",
    "net",     "night",  "noise",  "north",  "nose",  "note",   "number", "oil",    "open",   "orange",  "order",
    "oven",    "owl",    "page",   "pain",   "paint", "pair",   "paper",  "park",   "part",   "party",   "path",
    "peace",   "pen",    "person", "piece",  "pig",   "pilot",  "pin",    "plane",  "plant",  "plate",   "play",
    "point",   "pool",   "port",
};

std::string_view word(std::uint64_t index) {
    return kWords[index % kWords.size()];
}

}  // namespace

std::string NonceSource::next() {
    // An odd step visits all 256 words before it comes back to the first.
    std::string text(word(run_id_ + counter_ * 151));
    std::uint64_t bits = base::split_mix(run_id_ + base::kSplitMixStep * ++counter_);
    for (int i = 0; i < 5; ++i, bits >>= 8U) {
        text += ' ';
        text += word(bits);
    }
    text += "\n\n";
    return text;
}

}  // namespace velollm::load
