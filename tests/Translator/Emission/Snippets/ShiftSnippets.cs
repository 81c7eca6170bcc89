using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>Shifts, rotations, single bits, counts.</summary>
internal static class ShiftSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("shl r32,imm", a => a.shl(eax, 5)),
        new("shr r32,1", a => a.shr(eax, 1)),
        new("sar m32,imm", a => a.sar(__dword_ptr[esi], 5)),
        new("shl r32,cl", a => a.shl(eax, cl)),
        new("shr r8,cl", a => a.shr(dl, cl)),
        new("rol r32,imm", a => a.rol(eax, 7)),
        new("ror r32,cl", a => a.ror(eax, cl)),
        new("rcl r32,1", a => a.rcl(eax, 1)),
        new("rcl r32,cl", a => a.rcl(eax, cl)),
        new("shld r32,r32,imm", a => a.shld(eax, edx, 4)),
        new("shrd m32,r32,cl", a => a.shrd(__dword_ptr[esi], edx, cl)),
        new("bt r32,imm, jc", a =>
        {
            Label end = a.CreateLabel();
            a.bt(eax, 3);
            a.jc(end);
            a.inc(edx);
            a.Label(ref end);
        }),
        new("bts m32,r32", a => a.bts(__dword_ptr[esi], ecx)),
        new("bsf r32,r32", a => a.bsf(eax, ecx)),
        new("bsr r32,m32", a => a.bsr(eax, __dword_ptr[esi])),
        new("tzcnt r32,r32", a => a.tzcnt(eax, ecx)),
        new("popcnt r32,r32", a => a.popcnt(eax, ecx)),
    ];
}
