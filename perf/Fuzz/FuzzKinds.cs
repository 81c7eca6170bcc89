using Dbt.Perf.Fuzz.Kinds;

namespace Dbt.Perf.Fuzz;

/// <summary>All kinds of attack, by name.</summary>
internal static class FuzzKinds
{
    private static readonly Dictionary<string, Func<IFuzzKind>> s_kinds = new(StringComparer.Ordinal)
    {
        ["hypercall"] = () => new HypercallFuzz(),
        ["pagetable"] = () => new PageTableFuzz(),
        ["store"] = () => new StoreFuzz(),
        ["ring"] = () => new RingFuzz(),
        ["image"] = () => new ImageFuzz(),
        ["code"] = () => new CodeFuzz(),
    };

    /// <summary>Their names.</summary>
    public static IEnumerable<string> Names => s_kinds.Keys;

    /// <summary>Makes one; null for an unknown name.</summary>
    public static IFuzzKind? Create(string name) => s_kinds.GetValueOrDefault(name)?.Invoke();
}
