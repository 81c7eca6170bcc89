using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>x87: runs of instructions that are one call each, and what ends them.</summary>
internal static class X87Snippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("fld m64", a => a.fld(__qword_ptr[esi])),
        new("fadd st0,st1", a => a.fadd(st0, st1)),
        new("fld, fmul, fadd, fstp: one run", a =>
        {
            a.fld(__qword_ptr[esi]);
            a.fmul(__qword_ptr[esi + 8]);
            a.fadd(__qword_ptr[esi + 16]);
            a.fstp(__qword_ptr[edi]);
        }),
        new("two runs with an integer between", a =>
        {
            a.fld(__qword_ptr[esi]);
            a.fadd(st0, st0);
            a.add(esi, 8);
            a.fmul(__qword_ptr[esi]);
            a.fstp(__qword_ptr[edi]);
        }),
        new("fld m80, fstp m80", a =>
        {
            a.fld(__tbyte_ptr[esi]);
            a.fstp(__tbyte_ptr[edi]);
        }),
        new("fild, fistp", a =>
        {
            a.fild(__dword_ptr[esi]);
            a.fistp(__dword_ptr[edi]);
        }),
        new("fucomip, ja", a =>
        {
            Label end = a.CreateLabel();
            a.fucomip(st0, st1);
            a.ja(end);
            a.inc(eax);
            a.Label(ref end);
        }),
        new("fcom, fnstsw, sahf", a =>
        {
            a.fcom(st0, st1);
            a.fnstsw(ax);
            a.sahf();
        }),
        new("fnstcw, fldcw", a =>
        {
            a.fnstcw(__word_ptr[esi]);
            a.fldcw(__word_ptr[esi + 2]);
        }),
        new("fsin", a => a.fsin()),
        new("dot product's loop", a =>
        {
            Label next = a.CreateLabel();
            a.fldz();
            a.Label(ref next);
            a.fld(__qword_ptr[esi + (ecx * 8)]);
            a.fmul(__qword_ptr[edi + (ecx * 8)]);
            a.faddp(st1, st0);
            a.dec(ecx);
            a.jne(next);
            a.fstp(__qword_ptr[edx]);
        }),
        new("fnsave: the interpreter's", a => a.fnsave(__[esi])),
    ];
}
