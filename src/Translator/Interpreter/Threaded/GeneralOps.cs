using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>
/// Ops that run the instruction table's own routine: for instructions with no form of their own, and for whatever such a form cannot do
/// at once (a page that is not in the software TLB, an operand across two pages, a write into code, a fault).
/// </summary>
internal static unsafe class GeneralOps
{
    /// <summary>An instruction within a block.</summary>
    public static int Plain(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        DecodedInstruction* d = op->General;
        cpu->Eip = d->NextEip - d->Length;
        if (!d->Handler(interpreter, cpu, in *d))
        {
            return Fault(interpreter, cpu, op);
        }

        return cpu->CodeChanged == 0 ? Chain.Next(interpreter, cpu, op) : Stop(interpreter, cpu, op, d->NextEip);
    }

    /// <summary>An instruction within a block that sets EIP itself, and stays where it was for the time being (REP).</summary>
    public static int SetsEip(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        DecodedInstruction* d = op->General;
        cpu->Eip = d->NextEip - d->Length;
        if (!d->Handler(interpreter, cpu, in *d))
        {
            return Fault(interpreter, cpu, op);
        }

        return cpu->CodeChanged == 0 && cpu->Eip == d->NextEip ? Chain.Next(interpreter, cpu, op) : Stop(interpreter, cpu, op, cpu->Eip);
    }

    /// <summary>The last instruction of a block that sets EIP itself.</summary>
    public static int EndSetsEip(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        DecodedInstruction* d = op->General;
        cpu->Eip = d->NextEip - d->Length;
        return d->Handler(interpreter, cpu, in *d) ? Stop(interpreter, cpu, op, cpu->Eip) : Fault(interpreter, cpu, op);
    }

    /// <summary>The last instruction of a block, where it does not.</summary>
    public static int End(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        DecodedInstruction* d = op->General;
        cpu->Eip = d->NextEip - d->Length;
        return d->Handler(interpreter, cpu, in *d) ? Stop(interpreter, cpu, op, d->NextEip) : Fault(interpreter, cpu, op);
    }

    /// <summary>Stands behind the last instruction of a block that has no end of its own (a page's end, a full block), where blocks are linked.</summary>
    public static int FallThrough(Interpreter interpreter, CpuState* cpu, Op* op) =>
        Chain.Go(interpreter, cpu, op, op->Immediate, Op.Links(op), 0);

    /// <summary>The same where they are not: in segments that are not flat each block is checked against CS.</summary>
    public static int FallOut(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        cpu->Eip = op->Immediate;
        return Leave(interpreter, cpu, op, 0, Outcome.Completed);
    }

    private static int Stop(Interpreter interpreter, CpuState* cpu, Op* op, uint eip)
    {
        cpu->Eip = eip;
        return Leave(interpreter, cpu, op, 1, Outcome.Completed);
    }

    private static int Fault(Interpreter interpreter, CpuState* cpu, Op* op)
    {
        interpreter.AbandonWrite();
        return Leave(interpreter, cpu, op, 0, Outcome.Faulted);
    }

    private static int Leave(Interpreter interpreter, CpuState* cpu, Op* op, int carriedOut, Outcome outcome)
    {
        interpreter.OpenLink = null;
        cpu->ChainLeft -= op->Number + carriedOut;
        return (int)outcome;
    }
}
