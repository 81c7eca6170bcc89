using System.Runtime.InteropServices;

namespace Dbt.Translator.Interpretation.Native;

/// <summary>The head of FXSAVE's area in its 32-bit layout (SDM vol. 1, table 10-2).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal unsafe struct FxState
{
    /// <summary>Bit ES of the status word: an unmasked exception waits.</summary>
    public const ushort ErrorSummary = 0x80;

    /// <summary>Bit B of the status word, which follows ES.</summary>
    public const ushort Busy = 0x8000;

#pragma warning disable CS1591 // the manual's own names
    public ushort ControlWord;
    public ushort StatusWord;
    public byte Tags;
    public byte Reserved;
    public ushort Opcode;
    public uint InstructionPointer;
    public ushort CodeSelector;
    public ushort Reserved2;
    public uint DataPointer;
    public ushort DataSelector;
    public ushort Reserved3;
    public uint Mxcsr;
    public uint MxcsrMask;
#pragma warning restore CS1591

    /// <summary>ST(0) to ST(7), each in 16 bytes; MM registers are their low halves, by physical number.</summary>
    public fixed byte Stack[128];

    /// <summary>XMM0 to XMM7.</summary>
    public fixed byte Xmm[128];

    /// <summary>TOP.</summary>
    public readonly int Top => (StatusWord >> 11) & 7;

    /// <summary>Brings ES and B in line with flags and masks.</summary>
    public void UpdateSummary()
    {
        bool waiting = (StatusWord & 0x3F & ~ControlWord) != 0;
        StatusWord = (ushort)((StatusWord & ~(ErrorSummary | Busy)) | (waiting ? ErrorSummary | Busy : 0));
    }
}
