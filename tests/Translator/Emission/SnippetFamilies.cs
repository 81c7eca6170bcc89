using Dbt.Tests.Translator.Emission.Snippets;

namespace Dbt.Tests.Translator.Emission;

/// <summary>All snippets; a family has a golden text of its own.</summary>
internal static class SnippetFamilies
{
    public static IReadOnlyDictionary<string, IReadOnlyList<Snippet>> All { get; } = new Dictionary<string, IReadOnlyList<Snippet>>
    {
        ["moves"] = MoveSnippets.All,
        ["arithmetic"] = ArithmeticSnippets.All,
        ["flags"] = FlagSnippets.All,
        ["shifts"] = ShiftSnippets.All,
        ["multiplication"] = MultiplySnippets.All,
        ["stack"] = StackSnippets.All,
        ["spans"] = SpanSnippets.All,
        ["flow"] = FlowSnippets.All,
        ["strings"] = StringSnippets.All,
        ["locked"] = LockedSnippets.All,
        ["x87"] = X87Snippets.All,
        ["sse"] = SseSnippets.All,
        ["mmx"] = MmxSnippets.All,
        ["segments"] = SegmentSnippets.All,
    };
}
