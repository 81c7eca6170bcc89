/* Built for the host (gcc -m32 or not): prints what src/expected.h is to hold. */
#include "src/kernels.c"
int printf(const char *, ...);
int main(void)
{
    for (const struct kernel *k = kernels; k->name; k++)
        printf("    { \"%s\", %s, 1, 0x%08x },\n", k->name, k->name, k->run(1));
    return 0;
}
