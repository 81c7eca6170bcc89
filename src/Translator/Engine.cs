using Dbt.Translator.State;

namespace Dbt.Translator;

/// <summary>How guest code is executed.</summary>
public enum EngineKind
{
    /// <summary>Interpreter, then optimised translations, as code gets hot; quick ones in between where that is asked for.</summary>
    Tiered,

    /// <summary>One instruction at a time from decoded blocks; no translation.</summary>
    Interpreter,

    /// <summary>Interpreter, then a translation of each block for itself with RyuJIT's MinOpts.</summary>
    Quick,

    /// <summary>Interpreter, then optimised regions; no quick blocks, and nothing is compiled in the background.</summary>
    Optimized,
}

/// <summary>When a guest's programs reach memory by an <see cref="Memory.AddressWindow"/>, where the host's own processor checks their accesses.</summary>
public enum WindowUse
{
    /// <summary>Never.</summary>
    Never,

    /// <summary>Once a program has run for a while without a change of address space: a page that is touched for the first time then costs the host some microseconds.</summary>
    WhenSettled,

    /// <summary>From the start.</summary>
    Always,
}

/// <summary>What a user may set of an engine. Defaults are break-even figures; see docs/PERFORMANCE.md.</summary>
public sealed record EngineOptions
{
    /// <summary>Which tiers run.</summary>
    public EngineKind Kind { get; init; } = EngineKind.Tiered;

    /// <summary>
    /// With <see cref="EngineKind.Tiered"/>, executions of a block in the interpreter before its region is optimised, whatever it costs.
    /// </summary>
    public int RegionThreshold { get; init; } = 60_000;

    /// <summary>
    /// The same where compilation has taken less than <see cref="CompileShare"/> of what the guest's code has run for. A boot runs most of its
    /// code a few thousand times at most, and compiling all of that costs more than it saves; a program that goes on running deserves it.
    /// </summary>
    public int EarlyRegionThreshold { get; init; } = 4_000;

    /// <summary>Per cent of the guest's running time that compilation of what is not very hot may take.</summary>
    public int CompileShare { get; init; } = 20;

    /// <summary>
    /// With <see cref="EngineKind.Tiered"/> and a <see cref="Store"/>, executions before a block of the kernel gets a region while the guest is idle;
    /// int.MaxValue for never.
    /// </summary>
    public int PauseThreshold { get; init; } = 300;

    /// <summary>
    /// With <see cref="EngineKind.Tiered"/>, executions of a block in the interpreter before a quick translation. int.MaxValue leaves that tier
    /// out: it is too little faster than the interpreter for what it costs.
    /// </summary>
    public int QuickThreshold { get; init; } = int.MaxValue;

    /// <summary>Executions of a quick block before its region is optimised.</summary>
    public int OptimizeThreshold { get; init; } = 8000;

    /// <summary>
    /// With <see cref="EngineKind.Quick"/> and <see cref="EngineKind.Optimized"/>, executions of a block in the interpreter before its
    /// first translation; 0 translates everything at once, which takes most of its time for code that runs once.
    /// </summary>
    public int WarmUp { get; init; } = 32;

    /// <summary>
    /// Guest instructions an optimised region holds at most. RyuJIT does not optimise what has more than 20,000 IL instructions, of which each of
    /// these takes about 40.
    /// </summary>
    public int MaxRegionInstructions { get; init; } = 400;

    /// <summary>Optimised regions are compiled on a background thread in the tiered engine.</summary>
    public bool BackgroundCompile { get; init; } = true;

    /// <summary>
    /// Times that code in a frame is overwritten before the frame is interpreted for a while, because translations there do not
    /// live to pay.
    /// </summary>
    public int RewritesUntilCool { get; init; } = 16;

    /// <summary>Blocks are linked by tail calls.</summary>
    public bool LinkBlocks { get; init; } = true;

    /// <summary>Where compiled regions are shared with other processors and domains; null for not at all.</summary>
    public Cache.CodeStore? Store { get; init; }

    /// <summary>With <see cref="EngineKind.Tiered"/> and <see cref="EngineKind.Optimized"/>, when programs reach memory by an address window; see docs/PERFORMANCE.md, "Address windows".</summary>
    public WindowUse Windows { get; init; }

    /// <summary>
    /// x87, MMX and SSE are computed in C#, not by the host's own instructions: what a host that has none does anyway.
    /// </summary>
    public bool PortableFloatingPoint { get; init; }
}

/// <summary>
/// Executes guest code on one virtual processor's thread. Every engine gives the same architectural result.
/// </summary>
public abstract unsafe class Engine : IDisposable
{
    /// <summary>Runs until <see cref="Platform.Attend"/> says to leave.</summary>
    public abstract void Run(CpuState* cpu);

    /// <summary>Counters so far; may be read from another thread while the engine runs (values are then approximate).</summary>
    public abstract EngineStatistics Statistics { get; }

    /// <summary>The processor is about to wait: the engine may start some work that is of use later. On its own thread.</summary>
    public virtual void UsePause()
    {
    }

    /// <summary>
    /// Lists the translation of the block at an EIP as it would be made now, in the processor's present address space and mode. The processor
    /// must be held outside guest code.
    /// </summary>
    /// <returns>Null where nothing is mapped there, or it isn't translated.</returns>
    public virtual Diagnostics.BlockListing? List(uint eip) => null;

    /// <summary>What code it has run, for <see cref="Warm"/> of another engine. Its thread must be held outside guest code. Null where it keeps nothing that takes long to make.</summary>
    public virtual Cache.HotCode? ListHot() => null;

    /// <summary>Makes code ready that the guest is going to run. On the processor's thread, before <see cref="Run"/>; the processor need have no state yet, and keeps what it has.</summary>
    public virtual void Warm(Cache.HotCode code)
    {
    }

    /// <inheritdoc/>
    public abstract void Dispose();
}
