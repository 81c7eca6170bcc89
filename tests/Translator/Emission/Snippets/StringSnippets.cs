using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>String instructions, once and repeated.</summary>
internal static class StringSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("movsd", a => a.movsd()),
        new("stosb", a => a.stosb()),
        new("lodsd", a => a.lodsd()),
        new("scasb", a => a.scasb()),
        new("cmpsb", a => a.cmpsb()),
        new("rep movsd", a => a.rep.movsd()),
        new("rep movsb", a => a.rep.movsb()),
        new("rep stosd", a => a.rep.stosd()),
        new("repe cmpsb, jne", a =>
        {
            Label end = a.CreateLabel();
            a.repe.cmpsb();
            a.jne(end);
            a.inc(eax);
            a.Label(ref end);
        }),
        new("repne scasb", a => a.repne.scasb()),
        new("rep lodsb", a => a.rep.lodsb()),
        new("std, movsb, cld", a =>
        {
            a.std();
            a.movsb();
            a.cld();
        }),
    ];
}
