namespace Dbt.Perf.Fuzz.Attackers;

/// <summary>
/// What a hypercall's arguments look like, a letter each: c a command below <paramref name="Commands"/>, p a pointer to words, m to
/// mmu_update pairs, x to mmuext_ops, t to a multicall's entries, f to frame numbers; n a small count, z nothing or a pointer, d a domain, a a linear
/// address, e a page-table entry (two words), A a machine address (two words), v anything.
/// </summary>
/// <param name="Number">The hypercall.</param>
/// <param name="Arguments">See above.</param>
/// <param name="Commands">For c.</param>
/// <param name="Weight">How often it is drawn.</param>
internal sealed record HypercallShape(int Number, string Arguments, int Commands = 0, int Weight = 1)
{
    /// <summary>All of them; what only stops the attacker is rare.</summary>
    public static IReadOnlyList<HypercallShape> All { get; } =
    [
        new(0, "p"), new(1, "mnzd", Weight: 4), new(2, "fn", Weight: 2), new(3, "va"), new(4, "vava"), new(5, "n"), new(6, "cv", 2), new(8, "nv"), new(9, "n"),
        new(10, "Ae", Weight: 2), new(12, "cp", 30, Weight: 6), new(13, "tn", Weight: 2), new(14, "aen", Weight: 3), new(15, "vn"), new(16, "p"), new(17, "cp", 14),
        new(18, "cnp", 3), new(19, "p"), new(20, "cpn", 14, Weight: 8), new(21, "nn"), new(22, "aend", Weight: 2), new(23, ""), new(24, "cnp", 15, Weight: 3),
        new(26, "xnzd", Weight: 4), new(28, "np"), new(29, "cp", 2), new(30, "cp", 2), new(32, "cp", 15, Weight: 8), new(33, "cp", 32, Weight: 2), new(34, "cp", 26, Weight: 4),
        new(29, "cp", 8), new(40, "cp", 8), new(7, "vvv"), new(35, "vvv"), new(36, "vvv"), new(41, "vvv"), new(48, "vvv"), new(63, "vvv"),
    ];

    /// <summary>Those that change page tables.</summary>
    public static IReadOnlyList<HypercallShape> PageTables { get; } =
        [new(1, "mnzd", Weight: 8), new(14, "aen", Weight: 4), new(22, "aend"), new(26, "xnzd", Weight: 8), new(13, "tn")];

    /// <summary>A list in which each is as often as it weighs.</summary>
    public static HypercallShape[] Weighed(IEnumerable<HypercallShape> shapes) => [.. shapes.SelectMany(shape => Enumerable.Repeat(shape, shape.Weight))];
}
