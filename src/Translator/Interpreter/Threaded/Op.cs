using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>
/// One instruction of direct-threaded code: a routine made for its operand forms, and what that routine needs. The routine ends by going
/// to the next op's (a tail call, so a block runs without returning); it never faults: whatever it cannot do at once it leaves to
/// <see cref="GeneralOps"/>, which has the instruction in <see cref="General"/>. In native memory, in the order of the code.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = Bytes)]
internal unsafe struct Op
{
    /// <summary>Bytes of an op: two to a cache line.</summary>
    public const int Bytes = 32;

    /// <summary>The routine.</summary>
    public ThreadedRoutine Routine;

    /// <summary>The whole instruction.</summary>
    public DecodedInstruction* General;

    /// <summary>Immediate; a branch's target.</summary>
    public uint Immediate;

    /// <summary>Displacement; EIP behind a branch.</summary>
    public uint Displacement;

    /// <summary>Register operands, as byte offsets in the state.</summary>
    public byte Register0, Register1;

    /// <summary>Base and index, as byte offsets in the state; that of <see cref="State.CpuState.Zero"/> for none.</summary>
    public byte Base, Index;

    /// <summary>Left shift of the index.</summary>
    public byte Scale;

    /// <summary>The segment's base, as a byte offset in the state; that of <see cref="State.CpuState.Zero"/> for a flat segment.</summary>
    public byte Segment;

    /// <summary>Instructions of the block before this one.</summary>
    public ushort Number;

    /// <summary>The block-ending op's links, which lie in the place of the next op: where a branch goes, and what is behind it.</summary>
    /// <param name="op">The op.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ThreadedBlock** Links(Op* op) => (ThreadedBlock**)(op + 1);
}

/// <summary>What precedes a block's first op in memory.</summary>
[StructLayout(LayoutKind.Sequential, Size = Op.Bytes)]
internal unsafe struct ThreadedBlock
{
    /// <summary><see cref="ExecuteEntry"/> of a block that is not to be run: no entry of a software TLB has this value.</summary>
    public const long Never = 1;

    /// <summary>What the execute entry of its page must hold for it: the host address of the code less EIP.</summary>
    public long ExecuteEntry;

    /// <summary>EIP of the first instruction.</summary>
    public uint Eip;

    /// <summary>The mode it was made for.</summary>
    public State.CpuMode Mode;

    /// <summary>Executions granted so far, and how many of them are left; at the last the engine wants to see it.</summary>
    public uint Granted, Left;

    /// <summary>Executions so far.</summary>
    public readonly uint Executions => Granted - Left;

    /// <summary>Grants more executions before the engine sees it again.</summary>
    public void Grant(uint executions)
    {
        Granted += executions;
        Left += executions;
    }

    /// <summary>Its first op.</summary>
    /// <param name="block">The block.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Op* First(ThreadedBlock* block) => (Op*)(block + 1);
}
