using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>Chains of flags: some that are dead, some that depend on earlier ones, some that are read as a whole.</summary>
internal static class FlagSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("add, add, add: the last counts", a =>
        {
            a.add(eax, ecx);
            a.add(eax, edx);
            a.add(eax, ebx);
        }),
        new("add, inc: CF is the older", a =>
        {
            a.add(eax, ecx);
            a.inc(edx);
        }),
        new("eight inc in a row", a =>
        {
            for (int i = 0; i < 8; i++)
            {
                a.inc(eax);
            }
        }),
        new("add, dec, adc: CF over dec", a =>
        {
            a.add(eax, ecx);
            a.dec(edx);
            a.adc(ebx, 0);
        }),
        new("shl r32,cl, then inc", a =>
        {
            a.shl(eax, cl);
            a.inc(edx);
        }),
        new("cmp, two setcc, cmov", a =>
        {
            a.cmp(eax, ecx);
            a.setl(dl);
            a.setb(dh);
            a.cmove(ebx, eax);
        }),
        new("cmp, lahf", a =>
        {
            a.cmp(eax, ecx);
            a.lahf();
        }),
        new("sahf, jp", a =>
        {
            Label end = a.CreateLabel();
            a.sahf();
            a.jp(end);
            a.inc(eax);
            a.Label(ref end);
        }),
        new("stc, rcr", a =>
        {
            a.stc();
            a.rcr(eax, 1);
        }),
        new("cmc", a => a.cmc()),
        new("add, pushfd, popfd", a =>
        {
            a.add(eax, ecx);
            a.pushfd();
            a.popfd();
        }),
    ];
}
