using Dbt.Perf;
using Dbt.Translator;
using Dbt.Translator.Emit;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission;

/// <summary>
/// What RyuJIT does not optimise any more must not come out of the emitter: a region beyond its limits runs several times as slow, and nothing
/// else tells. docs/PERFORMANCE.md has the limits.
/// </summary>
public sealed class EmissionCeilingTests
{
    private const int MostInstructions = 20_000, MostReferences = 8_000, MostBytes = 60_000, MostBlocks = 2_000;

    // RyuJIT counts what it adds by itself too, temporaries and blocks.
    private const double Room = 0.9;

    private const uint Corpus = 0x100000;

    private static readonly int s_most = new EngineOptions().MaxRegionInstructions;

    [Fact]
    public void CompiledCodeStaysBelowTheJustInTimeCompilersLimits()
    {
        using var translator = new SnippetTranslator();
        int full = 0;
        var sum = new EmissionFigures();
        foreach (Region region in RegionsOfOurGuest(translator))
        {
            var figures = EmissionFigures.Of(region, SnippetTranslator.Optimised);
            AssertBelow($"the region at {region.Entry:x}", figures);
            full += region.InstructionCount == s_most ? 1 : 0;
            sum += figures with { Exits = [] };
        }

        // Branches are many here; that the largest regions are among them is what makes the check one.
        Assert.True(full >= 20, $"{full} regions of the largest size");
        double average = (double)sum.Instructions / sum.Guest;
        Assert.True(average < MostInstructions * Room / s_most, $"{average:F1} IL instructions per guest instruction");
    }

    [X64Theory]
    [MemberData(nameof(EmissionTests.Families), MemberType = typeof(EmissionTests))]
    public void AFamilyOverAndOverStaysBelowThem(string family)
    {
        // Each snippet as often as it takes to fill a region of the largest size with all of them.
        using var translator = new SnippetTranslator();
        IReadOnlyList<Snippet> snippets = [.. SnippetFamilies.All[family].Where(snippet => snippet.JumpTargets.Length == 0 && StaysInside(translator, snippet))];
        translator.Place(new Snippet(family, a =>
        {
            while (a.Instructions.Count < s_most * 2)
            {
                foreach (Snippet snippet in snippets)
                {
                    snippet.Code(a);
                    a.lea(esi, __[esi + 64]); // also what a label at a snippet's end belongs to
                }
            }
        })
        {
            Address = Corpus,
        });
        Region region = translator.RegionAt(Corpus, s_most, [])!;
        Assert.Equal(s_most, region.InstructionCount);
        AssertBelow(family, EmissionFigures.Of(region, SnippetTranslator.Optimised));
    }

    // A snippet that ends by leaving, or that the interpreter has, would be the last of its region.
    private static bool StaysInside(SnippetTranslator translator, Snippet snippet)
    {
        translator.Place(snippet);
        return translator.RegionAt(snippet.Address, s_most, []) is { } region
            && !EmissionFigures.Of(region, SnippetTranslator.Optimised).Exits.Contains(SideExitKind.Untranslated)
            && region.Blocks.Max(block => block.End) == translator.End
            && region.Blocks.TrueForAll(block => block.Successors.Count > 0 || block.End == translator.End);
    }

    private static void AssertBelow(string what, EmissionFigures figures)
    {
        string told = $"{what}: {figures.Guest} guest instructions, {figures.Instructions} of IL, {figures.LocalReferences} references to locals, {figures.Bytes} bytes, {figures.BasicBlocks} blocks";
        Assert.True(figures.Instructions < MostInstructions * Room, told);
        Assert.True(figures.LocalReferences < MostReferences * Room, told);
        Assert.True(figures.Bytes < MostBytes * Room, told);
        Assert.True(figures.BasicBlocks < MostBlocks * Room, told);
    }

    private static IEnumerable<Region> RegionsOfOurGuest(SnippetTranslator translator)
    {
        var code = GuestCode.Load();
        translator.Place(Corpus, code.Text);
        foreach (uint function in code.Functions)
        {
            if (translator.RegionAt(Corpus + function, s_most, []) is { } region)
            {
                yield return region;
            }
        }
    }
}
