namespace Dbt.Tests.Translator.Oracle;

/// <summary>The state in which a vector ended.</summary>
internal sealed class Outcome
{
    /// <summary>EAX to EDI, in encoding order.</summary>
    public uint[] Gpr { get; } = new uint[8];

    /// <summary>EFLAGS.</summary>
    public uint Eflags { get; set; }

    /// <summary>EIP: of the instruction that faulted, behind the one that trapped.</summary>
    public uint Eip { get; set; }

    /// <summary>Vector of the fault or trap, or <see cref="HarnessProgram.TimedOut"/>.</summary>
    public uint Vector { get; set; }

    /// <summary>Error code, 0 for vectors without.</summary>
    public uint Error { get; set; }

    /// <summary>Linear address of a page fault; meaningless for other vectors.</summary>
    public uint Cr2 { get; set; }

    /// <summary>GS, FS, ES, DS, CS, SS.</summary>
    public ushort[] Selectors { get; } = new ushort[6];

    /// <summary>x87, MMX and SSE state in FXSAVE's layout.</summary>
    public byte[] Fx { get; } = new byte[512];

    /// <summary>
    /// The memory's words that are not as in the background (the code's own included): offset in the live memory, and contents;
    /// in the order of their offsets.
    /// </summary>
    public (int Offset, uint Value)[] Memory { get; set; } = [];

    /// <summary>True where nothing can be said: the vector reached into the harness, or did not end.</summary>
    public bool Unusable { get; set; }

    /// <summary>The same in an object of its own.</summary>
    public Outcome Copy()
    {
        var copy = new Outcome
        {
            Eflags = Eflags,
            Eip = Eip,
            Vector = Vector,
            Error = Error,
            Cr2 = Cr2,
            Memory = Memory,
            Unusable = Unusable,
        };
        Gpr.CopyTo(copy.Gpr, 0);
        Selectors.CopyTo(copy.Selectors, 0);
        Fx.CopyTo(copy.Fx, 0);
        return copy;
    }
}
