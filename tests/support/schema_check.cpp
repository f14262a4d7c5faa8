// Whether a JSON file keeps to a JSON Schema (draft 7):  schema_check SCHEMA FILE
// Exit 0: it does. 1: it does not, every violation is printed. 2: one of the files can't be read.

#include <cstdio>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace {

using Adapter = valijson::adapters::NlohmannJsonAdapter;

nlohmann::json read(const char* path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot be opened");
    return nlohmann::json::parse(file);
}

/// Prints the violations and counts them.
int check(const valijson::Schema& schema, const nlohmann::json& document) {
    valijson::ValidationResults results;
    valijson::Validator validator;  // strong types: "5" is no number
    const Adapter adapter(document);
    if (validator.validate(schema, adapter, &results)) return 0;
    int violations = 0;
    valijson::ValidationResults::Error error;
    while (results.popError(error)) {
        std::string place;
        for (const std::string& part : error.context) place += part;
        std::printf("%s: %s\n", place.c_str(), error.description.c_str());
        ++violations;
    }
    if (violations == 0) std::printf("not valid, for no stated reason\n");
    return violations == 0 ? 1 : violations;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "Usage: schema_check SCHEMA FILE\n");
        return 2;
    }
    const char* reading = argv[1];
    try {
        const nlohmann::json schema_document = read(reading);
        valijson::Schema schema;
        valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
        parser.populateSchema(Adapter(schema_document), schema);
        reading = argv[2];
        return check(schema, read(reading)) == 0 ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", reading, error.what());
        return 2;
    }
}
