#include <greet.h>
#include <iostream>

int main() {
  const std::string text = greet("test");
  if (text == "Hello, test!") return 0;
  std::cout << "got: " << text << "\n";
  return 1;
}
