using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>Two operands and one, registers, memory and constants, all sizes; what sets flags that nothing reads, and what reads them.</summary>
internal static class ArithmeticSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("add r32,r32", a => a.add(eax, ecx)),
        new("add r32,imm", a => a.add(eax, 1000)),
        new("add r32,m32", a => a.add(eax, __dword_ptr[esi + 8])),
        new("add m32,r32", a => a.add(__dword_ptr[esi + 8], eax)),
        new("sub m32,imm", a => a.sub(__dword_ptr[esi + 8], 1000)),
        new("add r8,r8 high", a => a.add(ah, cl)),
        new("sub r16,m16", a => a.sub(ax, __word_ptr[esi])),
        new("xor m8,imm", a => a.xor(__byte_ptr[esi], 0x55)),
        new("and r32,m32", a => a.and(eax, __dword_ptr[esi])),
        new("or r32,imm", a => a.or(eax, 0x80)),
        new("xor r32,r32 same", a => a.xor(eax, eax)),
        new("cmp m32,imm", a => a.cmp(__dword_ptr[esi], 7)),
        new("test r32,r32", a => a.test(eax, eax)),
        new("adc r32,r32", a => a.adc(eax, ecx)),
        new("sbb r32,r32 same", a => a.sbb(eax, eax)),
        new("add, adc (64 bits)", a =>
        {
            a.add(eax, __dword_ptr[esi]);
            a.adc(edx, __dword_ptr[esi + 4]);
        }),
        new("inc r32", a => a.inc(eax)),
        new("dec m32", a => a.dec(__dword_ptr[esi])),
        new("neg r32", a => a.neg(eax)),
        new("not m32", a => a.not(__dword_ptr[esi])),
        new("daa", a => a.daa()),
    ];
}
