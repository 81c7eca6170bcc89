using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>Multiplications and divisions.</summary>
internal static class MultiplySnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("mul r32", a => a.mul(ecx)),
        new("mul m8", a => a.mul(__byte_ptr[esi])),
        new("imul r32,r32", a => a.imul(eax, ecx)),
        new("imul r32,m32,imm", a => a.imul(eax, __dword_ptr[esi], 100)),
        new("imul r16,r16", a => a.imul(ax, cx)),
        new("imul r32, jo", a =>
        {
            Label end = a.CreateLabel();
            a.imul(eax, ecx);
            a.jo(end);
            a.inc(edx);
            a.Label(ref end);
        }),
        new("div r32", a => a.div(ecx)),
        new("div m32", a => a.div(__dword_ptr[esi])),
        new("div r8", a => a.div(cl)),
        new("cdq, idiv r32", a =>
        {
            a.cdq();
            a.idiv(ecx);
        }),
        new("aam", a => a.aam(10)),
    ];
}
