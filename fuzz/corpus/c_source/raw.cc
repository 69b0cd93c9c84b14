#include <vector>
auto r = u8R"x(int main() { ")" )x";
namespace a { int main() { return 0; } }
#ifdef TEST
int A::main() { if (x) {
#else
{
#endif
}}
auto main() -> int { return {}; }
