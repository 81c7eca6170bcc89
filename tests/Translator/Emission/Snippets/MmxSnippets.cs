using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>MMX, alone and with x87 in the same region.</summary>
internal static class MmxSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("movd mm,r32", a => a.movd(mm0, eax)),
        new("movq mm,m64", a => a.movq(mm0, __qword_ptr[esi])),
        new("movq m64,mm", a => a.movq(__qword_ptr[esi], mm0)),
        new("paddb mm,mm", a => a.paddb(mm0, mm1)),
        new("pmuludq mm,m64", a => a.pmuludq(mm0, __qword_ptr[esi])),
        new("psrlq mm,imm", a => a.psrlq(mm0, 32)),
        new("emms", a => a.emms()),
        new("a word of a big number", a =>
        {
            a.movd(mm3, __dword_ptr[edi]);
            a.paddq(mm1, mm3);
            a.movd(mm2, __dword_ptr[esi]);
            a.pmuludq(mm2, mm0);
            a.paddq(mm1, mm2);
            a.movd(__dword_ptr[edi], mm1);
            a.psrlq(mm1, 32);
        }),
        new("loop, then emms", a =>
        {
            Label next = a.CreateLabel();
            a.Label(ref next);
            a.movq(mm0, __qword_ptr[esi + (ecx * 8)]);
            a.paddw(mm1, mm0);
            a.dec(ecx);
            a.jne(next);
            a.movq(__qword_ptr[edi], mm1);
            a.emms();
        }),
        new("paddd, emms, fld1, fstp", a =>
        {
            a.paddd(mm0, mm1);
            a.emms();
            a.fld1();
            a.fstp(__qword_ptr[edi]);
        }),
    ];
}
