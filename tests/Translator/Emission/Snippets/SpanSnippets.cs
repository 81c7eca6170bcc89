using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>Accesses by one register that are checked together, and such as can't be.</summary>
internal static class SpanSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("two fields read", a =>
        {
            a.mov(eax, __dword_ptr[esi]);
            a.add(eax, __dword_ptr[esi + 4]);
        }),
        new("eight fields read", a =>
        {
            a.mov(eax, __dword_ptr[esi]);
            for (int i = 1; i < 8; i++)
            {
                a.add(eax, __dword_ptr[esi + (i * 4)]);
            }
        }),
        new("fields read and written", a =>
        {
            a.mov(eax, __dword_ptr[esi]);
            a.mov(__dword_ptr[esi + 4], eax);
            a.mov(ecx, __dword_ptr[esi + 8]);
            a.mov(__dword_ptr[esi + 12], ecx);
        }),
        new("fields of several sizes", a =>
        {
            a.movzx(eax, __byte_ptr[esi + 1]);
            a.mov(cx, __word_ptr[esi + 6]);
            a.mov(edx, __dword_ptr[esi + 9]);
        }),
        new("a register that moves on by a constant", a =>
        {
            a.mov(eax, __dword_ptr[esi]);
            a.add(esi, 4);
            a.add(eax, __dword_ptr[esi]);
            a.add(esi, 4);
            a.add(eax, __dword_ptr[esi]);
        }),
        new("a copy of the register", a =>
        {
            a.mov(edi, esi);
            a.mov(eax, __dword_ptr[esi]);
            a.add(eax, __dword_ptr[edi + 4]);
        }),
        new("too far apart", a =>
        {
            a.mov(eax, __dword_ptr[esi]);
            a.add(eax, __dword_ptr[esi + 0x400]);
        }),
        new("the register is loaded between", a =>
        {
            a.mov(eax, __dword_ptr[esi]);
            a.mov(esi, __dword_ptr[esi + 4]);
            a.add(eax, __dword_ptr[esi]);
            a.add(eax, __dword_ptr[esi + 4]);
        }),
        new("copy of a structure, ESI to EDI", a =>
        {
            for (int i = 0; i < 4; i++)
            {
                a.mov(eax, __dword_ptr[esi + (i * 4)]);
                a.mov(__dword_ptr[edi + (i * 4)], eax);
            }
        }),
        new("fields in both branches of a choice", a =>
        {
            Label other = a.CreateLabel(), end = a.CreateLabel();
            a.mov(eax, __dword_ptr[esi]);
            a.mov(ecx, __dword_ptr[esi + 4]);
            a.test(eax, eax);
            a.je(other);
            a.mov(edx, __dword_ptr[esi + 8]);
            a.jmp(end);
            a.Label(ref other);
            a.mov(edx, __dword_ptr[esi]);
            a.Label(ref end);
            a.add(edx, ecx);
        }),
        new("frame in a loop", a =>
        {
            Label next = a.CreateLabel();
            a.Label(ref next);
            a.mov(eax, __dword_ptr[esp + 4]);
            a.add(eax, __dword_ptr[esp + 8]);
            a.mov(__dword_ptr[esp + 4], eax);
            a.dec(ecx);
            a.jne(next);
        }),
    ];
}
