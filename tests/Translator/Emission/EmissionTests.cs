using System.Globalization;
using System.Text;
using Dbt.Translator.Emit;

namespace Dbt.Tests.Translator.Emission;

/// <summary>
/// How much IL the translator emits for a fixed set of snippets, exactly. It has no noise, and RyuJIT's time and code follow it: who changes
/// the emitter sees in the difference of the golden texts what becomes smaller and what larger.
/// </summary>
public sealed class EmissionTests
{
    private const string Header =
        "# IL emitted for each snippet, with a jump behind it that leaves. quick: a translation for each block, added up; optimised: one region.\n"
        + "# DBT_GOLDEN=write ./test FullyQualifiedName~EmissionTests writes this anew.\n\n";

    public static TheoryData<string> Families => [.. SnippetFamilies.All.Keys];

    [X64Theory]
    [MemberData(nameof(Families))]
    public void AgreesWithGoldenText(string family)
    {
        var text = new StringBuilder(Header);
        AddRow(text, "snippet", "tier", "guest", "bytes", "il", "locals", "links", "exits");
        using var translator = new SnippetTranslator();
        EmissionFigures quickSum = new(), optimisedSum = new();
        foreach (Snippet snippet in SnippetFamilies.All[family])
        {
            translator.Place(snippet);
            Region? region = translator.RegionAt(snippet.Address, 400, snippet.JumpTargets);
            if (region is null)
            {
                AddRow(text, snippet.Name, "interpreted");
                continue;
            }

            var quick = new EmissionFigures();
            foreach (GuestBlock block in region.Blocks)
            {
                if (translator.BlockAt(block.Start) is { } alone)
                {
                    quick += EmissionFigures.Of(alone, SnippetTranslator.Quick);
                }
            }

            var optimised = EmissionFigures.Of(region, SnippetTranslator.Optimised);
            AddRow(text, snippet.Name, "quick", quick);
            AddRow(text, "", "optimised", optimised);
            quickSum += quick;
            optimisedSum += optimised;
        }

        AddRow(text, "all together", "quick", quickSum with { Exits = [] });
        AddRow(text, "", "optimised", optimisedSum with { Exits = [] });
        GoldenText.Check("Emission", family, text.ToString());
    }

    [Fact]
    public void NamesAreUnique()
    {
        string[] names = [.. SnippetFamilies.All.SelectMany(family => family.Value.Select(snippet => $"{family.Key}: {snippet.Name}"))];
        Assert.Equal(names.Distinct(), names);
    }

    private static void AddRow(StringBuilder text, string name, string tier, EmissionFigures figures)
    {
        string exits = string.Join(' ', figures.Exits.GroupBy(kind => kind).OrderBy(group => group.Key)
            .Select(group => string.Create(CultureInfo.InvariantCulture, $"{group.Key.ToString().ToLowerInvariant()}:{group.Count()}")));
        AddRow(text, name, tier, [.. new[] { figures.Guest, figures.Bytes, figures.Instructions, figures.Locals, figures.Links }.Select(Number), exits]);
    }

    private static void AddRow(StringBuilder text, string name, string tier, params string[] cells)
    {
        string row = $"{name,-44}{tier,-12}" + string.Concat(cells.Take(5).Select(cell => $"{cell,7}")) + string.Concat(cells.Skip(5).Select(cell => $"  {cell}"));
        text.Append(row.TrimEnd()).Append('\n');
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
