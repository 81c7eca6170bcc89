using System.Runtime.InteropServices;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

/// <summary>
/// An instruction decoded once for many executions. It holds no reference, so arrays of it cost the collector nothing.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct DecodedInstruction
{
    /// <summary>The routine, from the instruction table.</summary>
    public delegate*<Interpreter, CpuState*, in DecodedInstruction, bool> Handler;

    /// <summary>EIP after the instruction.</summary>
    public uint NextEip;

    /// <summary>Displacement of the memory operand.</summary>
    public uint Displacement;

    /// <summary>Immediate, sign-extended to 32 bits where the encoding says so; a branch's target EIP; a far pointer's offset; an x87 instruction's opcode.</summary>
    public uint Immediate;

    /// <summary>Second immediate: ENTER's level, a far pointer's selector; or the thunk's number.</summary>
    public uint Extra;

    /// <summary>Where the interpreter has Iced's form, for rows that keep it.</summary>
    public int Kept;

    /// <summary>Bytes of the instruction, 1 to 15.</summary>
    public byte Length;

    /// <summary>Operand size in bytes.</summary>
    public byte Size;

    /// <summary>Size in bytes of the second operand where it differs (MOVZX), of the memory operand for thunks.</summary>
    public byte SourceSize;

    /// <summary>Kinds of the operands.</summary>
    public OperandKind Kind0, Kind1, Kind2;

    /// <summary>Registers of the operands.</summary>
    public byte Register0, Register1, Register2;

    /// <summary>Segment register of the memory operand, overrides applied.</summary>
    public SegmentIndex8 Segment;

    /// <summary>Base register number, or <see cref="NoRegister"/>.</summary>
    public byte Base;

    /// <summary>Index register number, or <see cref="NoRegister"/>.</summary>
    public byte Index;

    /// <summary>Left shift of the index, 0 to 3.</summary>
    public byte Scale;

    /// <summary>Condition code 0 to 15 of Jcc, SETcc, CMOVcc (SDM vol. 1, appendix B).</summary>
    public byte Condition;

    /// <summary>Prefixes and facts found while decoding.</summary>
    public DecodedFlags Flags;

    /// <summary>Value of <see cref="Base"/> and <see cref="Index"/> for "none".</summary>
    public const byte NoRegister = 0xFF;
}

/// <summary><see cref="SegmentIndex"/> in one byte.</summary>
internal enum SegmentIndex8 : byte
{
#pragma warning disable CS1591 // as SegmentIndex
    Es, Cs, Ss, Ds, Fs, Gs,
#pragma warning restore CS1591
}

/// <summary>Prefixes and facts of a decoded instruction.</summary>
[Flags]
internal enum DecodedFlags : ushort
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>16-bit addresses.</summary>
    Address16 = 1,

    /// <summary>REP or REPE (F3).</summary>
    Rep = 2,

    /// <summary>REPNE (F2).</summary>
    Repne = 4,

    /// <summary>LOCK, or XCHG with memory.</summary>
    Lock = 8,

    /// <summary>The memory operand's segment is flat and writable in this mode: no limit checks but for wrap-around.</summary>
    FlatSegment = 16,

    /// <summary>The routine sets EIP itself.</summary>
    SetsEip = 32,

    /// <summary>The stack pointer is SP, not ESP.</summary>
    Stack16 = 64,

    /// <summary>The stack segment is flat and 32-bit.</summary>
    FlatStack = 128,

    /// <summary>The memory operand's segment spans 4 GiB and may be written in this mode, and its addresses have 32 bits.</summary>
    Direct = 256,

    /// <summary>Such an operand that has an index, or a segment with a base.</summary>
    FullAddress = 512,
}
