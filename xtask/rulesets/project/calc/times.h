#pragma once
#ifdef __cplusplus
extern "C"
#endif
int times(int a, int b);
