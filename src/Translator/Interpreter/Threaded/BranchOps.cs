using System.Runtime.CompilerServices;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Threaded;

/// <summary>
/// Conditional branches, alone and together with the CMP or TEST before. A pair keeps both ops in place: the first does the work of both,
/// and where it can't it leaves the CMP to the general routine, which goes on to the branch.
/// </summary>
internal static unsafe class BranchOps
{
    /// <summary>The routine of a Jcc in flat segments.</summary>
    public static ThreadedRoutine PickJcc(in DecodedInstruction d)
    {
        if (!StackOps.IsFlat(in d))
        {
            return null;
        }

        return d.Condition switch
        {
            2 => &Branch<Below>,
            3 => &Branch<Not<Below>>,
            4 => &Branch<Equal>,
            5 => &Branch<Not<Equal>>,
            6 => &Branch<BelowOrEqual>,
            7 => &Branch<Not<BelowOrEqual>>,
            8 => &Branch<Sign>,
            9 => &Branch<Not<Sign>>,
            12 => &Branch<Less>,
            13 => &Branch<Not<Less>>,
            14 => &Branch<LessOrEqual>,
            15 => &Branch<Not<LessOrEqual>>,
            _ => null,
        };
    }

    /// <summary>The routine of a CMP and a Jcc behind it; null where they go one by one.</summary>
    public static ThreadedRoutine PickCompareBranch(in DecodedInstruction compare, int condition) => Pick<CmpOperation>(in compare, condition);

    /// <summary>The routine of a TEST and a Jcc behind it; null where they go one by one.</summary>
    public static ThreadedRoutine PickTestBranch(in DecodedInstruction test, int condition) => Pick<TestOperation>(in test, condition);

    private static ThreadedRoutine Pick<TOperation>(in DecodedInstruction d, int condition)
        where TOperation : struct, IBinary => condition switch
        {
            2 => PickForm<TOperation, Below>(in d),
            3 => PickForm<TOperation, Not<Below>>(in d),
            4 => PickForm<TOperation, Equal>(in d),
            5 => PickForm<TOperation, Not<Equal>>(in d),
            6 => PickForm<TOperation, BelowOrEqual>(in d),
            7 => PickForm<TOperation, Not<BelowOrEqual>>(in d),
            8 => PickForm<TOperation, Sign>(in d),
            9 => PickForm<TOperation, Not<Sign>>(in d),
            12 => PickForm<TOperation, Less>(in d),
            13 => PickForm<TOperation, Not<Less>>(in d),
            14 => PickForm<TOperation, LessOrEqual>(in d),
            15 => PickForm<TOperation, Not<LessOrEqual>>(in d),
            _ => null,
        };

    private static ThreadedRoutine PickForm<TOperation, TCondition>(in DecodedInstruction d)
        where TOperation : struct, IBinary
        where TCondition : struct, ICondition
    {
        if (d.Size == 2)
        {
            return null;
        }

        bool wide = d.Size == 4;
        switch (d.Kind0, d.Kind1)
        {
            case (OperandKind.Register, OperandKind.Register):
                return wide ? &RegisterRegister<TOperation, TCondition, Byte4> : &RegisterRegister<TOperation, TCondition, Byte1>;
            case (OperandKind.Register, OperandKind.Immediate):
                return wide ? &RegisterImmediate<TOperation, TCondition, Byte4> : &RegisterImmediate<TOperation, TCondition, Byte1>;
        }

        if ((d.Flags & (DecodedFlags.Direct | DecodedFlags.FullAddress)) != DecodedFlags.Direct)
        {
            return null;
        }

        switch (d.Kind0, d.Kind1)
        {
            case (OperandKind.Register, OperandKind.Memory):
                return wide ? &RegisterMemory<TOperation, TCondition, Byte4> : &RegisterMemory<TOperation, TCondition, Byte1>;
            case (OperandKind.Memory, OperandKind.Register):
                return wide ? &MemoryRegister<TOperation, TCondition, Byte4> : &MemoryRegister<TOperation, TCondition, Byte1>;
            case (OperandKind.Memory, OperandKind.Immediate):
                return wide ? &MemoryImmediate<TOperation, TCondition, Byte4> : &MemoryImmediate<TOperation, TCondition, Byte1>;
            default:
                return null;
        }
    }

    [MethodImpl(Chain.Hot)]
    private static int Branch<TCondition>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TCondition : struct, ICondition =>
        Go(interpreter, cpu, op, TCondition.OfFlags(cpu));

    [MethodImpl(Chain.Hot)]
    private static int RegisterRegister<TOperation, TCondition, TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IBinary
        where TCondition : struct, ICondition
        where TWidth : struct, IWidth
    {
        uint a = Interpreter.Load(Addresses.At(cpu, op->Register0), TWidth.Size);
        uint b = Interpreter.Load(Addresses.At(cpu, op->Register1), TWidth.Size);
        return Both<TOperation, TCondition, TWidth>(interpreter, cpu, op, a, b);
    }

    [MethodImpl(Chain.Hot)]
    private static int RegisterImmediate<TOperation, TCondition, TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IBinary
        where TCondition : struct, ICondition
        where TWidth : struct, IWidth
    {
        uint a = Interpreter.Load(Addresses.At(cpu, op->Register0), TWidth.Size);
        return Both<TOperation, TCondition, TWidth>(interpreter, cpu, op, a, op->Immediate);
    }

    [MethodImpl(Chain.Hot)]
    private static int RegisterMemory<TOperation, TCondition, TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IBinary
        where TCondition : struct, ICondition
        where TWidth : struct, IWidth
    {
        uint linear = Addresses.Linear<BaseAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, MemoryAccess.Read);
        if (Addresses.IsSlow<BaseAddress, TWidth>(cpu, op, linear, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* memory = (byte*)(entry + linear);
        uint a = Interpreter.Load(Addresses.At(cpu, op->Register0), TWidth.Size);
        return Both<TOperation, TCondition, TWidth>(interpreter, cpu, op, a, Interpreter.Load(memory, TWidth.Size));
    }

    [MethodImpl(Chain.Hot)]
    private static int MemoryRegister<TOperation, TCondition, TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IBinary
        where TCondition : struct, ICondition
        where TWidth : struct, IWidth
    {
        uint linear = Addresses.Linear<BaseAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, MemoryAccess.Read);
        if (Addresses.IsSlow<BaseAddress, TWidth>(cpu, op, linear, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* memory = (byte*)(entry + linear);
        uint b = Interpreter.Load(Addresses.At(cpu, op->Register1), TWidth.Size);
        return Both<TOperation, TCondition, TWidth>(interpreter, cpu, op, Interpreter.Load(memory, TWidth.Size), b);
    }

    [MethodImpl(Chain.Hot)]
    private static int MemoryImmediate<TOperation, TCondition, TWidth>(Interpreter interpreter, CpuState* cpu, Op* op)
        where TOperation : struct, IBinary
        where TCondition : struct, ICondition
        where TWidth : struct, IWidth
    {
        uint linear = Addresses.Linear<BaseAddress>(cpu, op);
        long entry = Addresses.Entry(cpu, linear, MemoryAccess.Read);
        if (Addresses.IsSlow<BaseAddress, TWidth>(cpu, op, linear, entry))
        {
            return GeneralOps.Plain(interpreter, cpu, op);
        }

        byte* memory = (byte*)(entry + linear);
        return Both<TOperation, TCondition, TWidth>(interpreter, cpu, op, Interpreter.Load(memory, TWidth.Size), op->Immediate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Both<TOperation, TCondition, TWidth>(Interpreter interpreter, CpuState* cpu, Op* op, uint a, uint b)
        where TOperation : struct, IBinary
        where TCondition : struct, ICondition
        where TWidth : struct, IWidth
    {
        uint result = TOperation.Compute(a, b, 0) & Interpreter.Mask(TWidth.Size);
        TOperation.SetFlags(cpu, TWidth.Size, a, b, result, 0);
        int shift = 32 - (TWidth.Size * 8);
        bool taken = typeof(TOperation) == typeof(CmpOperation)
            ? TCondition.OfCompared((int)(a << shift), (int)(b << shift))
            : TCondition.OfTested((int)(result << shift));
        return Go(interpreter, cpu, op + 1, taken);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Go(Interpreter interpreter, CpuState* cpu, Op* op, bool taken)
    {
        ThreadedBlock** links = Op.Links(op);
        return taken
            ? Chain.Go(interpreter, cpu, op, op->Immediate, links)
            : Chain.Go(interpreter, cpu, op, op->Displacement, links + 1);
    }
}
