using Dbt.Translator.Interpretation.Threaded;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

/// <summary>Decoded instructions that follow each other within one page, up to one that changes the flow or the mode.</summary>
internal sealed unsafe class DecodedBlock
{
    private bool _valid = true;
    private bool _chained = true;

    /// <summary>EIP of the first instruction.</summary>
    public required uint Eip { get; init; }

    /// <summary>The mode it was decoded for.</summary>
    public required CpuMode Mode { get; init; }

    /// <summary>Host address of the first byte; with EIP and mode the block's key.</summary>
    public required byte* Host { get; init; }

    /// <summary>Bytes of code.</summary>
    public required int Length { get; init; }

    /// <summary>The block as threaded code; null where it is to be carried out from <see cref="Single"/>.</summary>
    public required ThreadedBlock* Code { get; init; }

    /// <summary>The instruction, where it is one that is carried out alone.</summary>
    public DecodedInstruction[] Single { get; init; } = [];

    /// <summary>How many times as long as usual the interpreter takes for its instructions, on average; at least 1.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>Its one instruction lies in two pages: kept by <see cref="CrossingCache"/> alone.</summary>
    public required bool CrossesPage { get; init; }

    /// <summary>Cleared when its code was written.</summary>
    public bool Valid
    {
        get => _valid;
        set
        {
            _valid = value;
            Refresh();
        }
    }

    /// <summary>Whether other blocks may go on to it by themselves; otherwise it has a translation that is to run.</summary>
    public bool Chained
    {
        get => _chained;
        set
        {
            _chained = value;
            Refresh();
        }
    }

    /// <summary>The next block in the cache's bucket.</summary>
    public DecodedBlock? Chain { get; set; }

    private void Refresh()
    {
        if (Code != null)
        {
            Code->ExecuteEntry = _valid && _chained && (Mode & CpuMode.Flat) != 0 ? (long)Host - Eip : ThreadedBlock.Never;
        }
    }
}
