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
    public static int Go(Interpreter interpreter, CpuState* cpu, Op* op, uint eip, ThreadedBlock** link, uint carriedOut = 1)
    {
        cpu->Eip = eip;
        ulong retired = cpu->RetiredInterpreted + op->Number + carriedOut;
        cpu->RetiredInterpreted = retired;
        ThreadedBlock* next = *link;
        if (next->ExecuteEntry == ExecuteEntry(cpu, eip) && cpu->Attention == 0 && retired < cpu->ChainEnd && ++next->Executions < next->Limit)
        {
            Op* first = ThreadedBlock.First(next);
            return first->Routine(interpreter, cpu, first);
        }

        interpreter.OpenLink = link;
        return (int)Outcome.Completed;
    }

    /// <summary>The same for a computed EIP, by way of the jump table.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int GoIndirect(Interpreter interpreter, CpuState* cpu, Op* op, uint eip)
    {
        cpu->Eip = eip;
        ulong retired = cpu->RetiredInterpreted + op->Number + 1;
        cpu->RetiredInterpreted = retired;
        ThreadedBlock* next = interpreter.Jumps[JumpIndex(eip)];
        if (next->Eip == eip && next->Mode == cpu->Mode && next->ExecuteEntry == ExecuteEntry(cpu, eip)
            && cpu->Attention == 0 && retired < cpu->ChainEnd && ++next->Executions < next->Limit)
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
