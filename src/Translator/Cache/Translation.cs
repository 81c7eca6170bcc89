using Dbt.Translator.Emit;

namespace Dbt.Translator.Cache;

/// <summary>A block or region at its place in an engine: compiled code and an instance for it, or one on its way to the compiler.</summary>
/// <param name="shape">What it is made from.</param>
/// <param name="pages">Execute entries of its pages.</param>
/// <param name="optimized">Which tier.</param>
internal sealed class Translation(RegionShape shape, Dictionary<uint, long> pages, bool optimized)
{
    /// <summary>What it is made from.</summary>
    public RegionShape Shape { get; } = shape;

    /// <summary>Execute entries of its pages, while it runs.</summary>
    public Dictionary<uint, long> Pages { get; } = pages;

    /// <summary>What is to be compiled; dropped once it is.</summary>
    public Region? Region { get; set; }

    /// <summary>It may be compiled by nobody else meanwhile: see <see cref="CodeStore.TryClaim"/>.</summary>
    public bool IsClaimed { get; set; }

    /// <summary>Which tier.</summary>
    public bool Optimized { get; } = optimized;

    /// <summary>It could not be compiled as it must be, and is of no use.</summary>
    public bool IsRefused { get; set; }

    /// <summary>It reaches memory by the address window.</summary>
    public bool IsWindowed => (Shape.Mode & State.CpuMode.Window) != 0;

    /// <summary>Its code was written: it must not be installed, or not run any more.</summary>
    public bool Dropped { get; set; }

    /// <summary>Blocks lead to it, or did.</summary>
    public bool Installed { get; set; }

    /// <summary>On its way: neither installed nor dropped yet. On the processor's thread.</summary>
    public bool IsPending => !Installed && !Dropped;

    /// <summary>The code, null until compiled.</summary>
    public CompiledCode? Code { get; set; }

    /// <summary>First byte of the code, 0 until compiled.</summary>
    public nint Function => Code?.Function ?? 0;

    /// <summary>Address of its instance, 0 while it has none.</summary>
    public nint Instance { get; set; }

    /// <summary>The blocks at which it may be entered.</summary>
    public List<CodeBlock> Entries { get; } = [];

    /// <summary>Links that leave it.</summary>
    public List<Link> Links { get; } = [];

    /// <summary>Frames whose bytes it was made from.</summary>
    public List<uint> Frames { get; } = [];

    /// <summary>Host address of an EIP in it.</summary>
    public nint HostOf(uint eip) => (nint)(Pages[eip >> 12] + eip);
}
