using Dbt.Translator.Emit;

namespace Dbt.Translator.Cache;

/// <summary>A compiled block or region, or one on its way to the compiler.</summary>
internal sealed class Translation(Region region, bool optimized)
{
    private object? _method;

    /// <summary>What it is made from; dropped once it is installed.</summary>
    public Region? Region { get; set; } = region;

    /// <summary>Which tier.</summary>
    public bool Optimized { get; } = optimized;

    /// <summary>Its code was written: it must not be installed, or not run any more.</summary>
    public bool Dropped { get; set; }

    /// <summary>On its way: neither installed nor dropped yet. On the processor's thread.</summary>
    public bool IsPending => Region is not null && !Dropped;

    /// <summary>The code, 0 until compiled.</summary>
    public nint Function { get; private set; }

    /// <summary>Length of its IL, 0 until emitted.</summary>
    public int IlBytes { get; private set; }

    /// <summary>The blocks at which it may be entered.</summary>
    public List<CodeBlock> Entries { get; } = [];

    /// <summary>Links that leave it.</summary>
    public List<Link> Links { get; private set; } = [];

    /// <summary>Its exit codes.</summary>
    public List<int> ExitCodes { get; private set; } = [];

    /// <summary>Code pages that it runs on: linear page number, and what the execute entry must hold.</summary>
    public IReadOnlyDictionary<uint, long> Pages { get; } = region.Pages;

    /// <summary>Frames whose bytes it was made from.</summary>
    public List<uint> Frames { get; } = [];

    /// <summary>Number of the cell with its counter, or -1.</summary>
    public int Counter { get; set; } = -1;

    /// <summary>Address of its counter, or 0.</summary>
    public nint CounterAddress { get; set; }

    /// <summary>Compiles what was emitted. Any thread.</summary>
    public void Compile(EmittedRegion emitted)
    {
        Links = emitted.Links;
        IlBytes = emitted.IlBytes;
        ExitCodes = emitted.ExitCodes;
        Function = DynamicMethodFactory.Compile(emitted.Method);
        _method = emitted.Method;
    }

    /// <summary>Lets the code go; nothing can reach it any more.</summary>
    public void Release()
    {
        GC.KeepAlive(_method);
        _method = null;
        Function = 0;
    }
}
