using System.Runtime.CompilerServices;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>How ops go on to one another. What is returned is an <see cref="Outcome"/>.</summary>
internal static unsafe class Chain
{
    /// <summary>
    /// Every routine of an op is compiled fully when it is first run: tier 0 makes no tail calls, and is slow where a boot is over
    /// before the runtime looks again.
    /// </summary>
    public const MethodImplOptions Hot = MethodImplOptions.AggressiveOptimization;

    /// <summary>Instructions after which a chain of blocks returns: bounds the host's stack where tail calls are calls.</summary>
    public const int MaxInstructions = 512;

    /// <summary>Goes on to the next op of the block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Next(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        op++;
        return op->Routine(interpreter, cpu, op);
    }

    /// <summary>Ends a block whose last op was carried out, and goes on to a block at a constant EIP where it is linked and may be run.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Go(Interpreter interpreter, CpuState* cpu, Op* op, uint eip, ThreadedBlock** link, int carriedOut = 1)
    {
        interpreter.OpenLink = link;
        cpu->Eip = eip;
        int left = cpu->ChainLeft - op->Number - carriedOut;
        cpu->ChainLeft = left;
        ThreadedBlock* next = *link;
        if (next->ExecuteEntry == ExecuteEntry(cpu, eip) && cpu->Attention == 0 && left > 0 && --next->Left != 0)
        {
            Op* first = ThreadedBlock.First(next);
            return first->Routine(interpreter, cpu, first);
        }

        return (int)Outcome.Completed;
    }

    /// <summary>The same for a computed EIP, by way of the jump table.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int GoIndirect(Interpreter interpreter, CpuState* cpu, Op* op, uint eip)
    {
        interpreter.OpenLink = null;
        cpu->Eip = eip;
        int left = cpu->ChainLeft - op->Number - 1;
        cpu->ChainLeft = left;
        ThreadedBlock* next = interpreter.Jumps[JumpIndex(eip)];
        if (next->Eip == eip && next->Mode == cpu->Mode && next->ExecuteEntry == ExecuteEntry(cpu, eip)
            && cpu->Attention == 0 && left > 0 && --next->Left != 0)
        {
            Op* first = ThreadedBlock.First(next);
            return first->Routine(interpreter, cpu, first);
        }

        return (int)Outcome.Completed;
    }

    /// <summary>Place of an EIP in the jump table.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint JumpIndex(uint eip) => (eip ^ (eip >> 12)) & (Interpreter.JumpEntries - 1);

    /// <summary>The execute entry of the software TLB for an EIP in a flat code segment.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long ExecuteEntry(CpuState* cpu, uint eip) =>
        Volatile.Read(ref *(long*)(cpu->Tlb + ((nint)MemoryAccess.Execute * SoftwareTlb.TableBytes) + ((nint)(eip >> 12) * 8)));
}
