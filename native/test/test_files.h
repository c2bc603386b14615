// Files, bytes and slow but obvious checksums for tests.
#ifndef HOLDFAST_TEST_TEST_FILES_H_
#define HOLDFAST_TEST_TEST_FILES_H_

#include <dirent.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace holdfast {

// A directory that is removed, with the files in it, at the end. HOLDFAST_TEST_DIRECTORY says
// where.
class TestDirectory {
 public:
  TestDirectory() {
    const char* base = getenv("HOLDFAST_TEST_DIRECTORY");
    std::string name = std::string(base == nullptr ? "/tmp" : base) + "/holdfast-core-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TestDirectory() {
    DIR* directory = opendir(path_.c_str());
    while (dirent* entry = readdir(directory)) {
      (void)unlink((path_ + "/" + entry->d_name).c_str());
    }
    closedir(directory);
    (void)rmdir(path_.c_str());
  }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::vector<uint8_t> RandomBytes(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() >> 11);
  return bytes;
}

inline std::vector<uint8_t> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void WriteWhole(const std::string& path, const std::vector<uint8_t>& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

inline bool Exists(const std::string& path) {
  struct stat facts;
  return stat(path.c_str(), &facts) == 0;
}

// Bit by bit, from the definition.
inline uint32_t NaiveCrc(const uint8_t* data, size_t bytes) {
  uint32_t state = ~0U;
  for (size_t index = 0; index < bytes; ++index) {
    state ^= data[index];
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ (0x82f63b78 & (0U - (state & 1)));
  }
  return ~state;
}

}  // namespace holdfast

#endif  // HOLDFAST_TEST_TEST_FILES_H_
