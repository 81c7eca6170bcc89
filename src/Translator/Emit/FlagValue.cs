using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>
/// What emitted code knows of the six status flags at one point: nothing is computed before it is asked for.
/// Immutable, because exits emitted later describe the state at an earlier point.
/// </summary>
internal abstract class FlagValue
{
    /// <summary>How many values this one depends on; deep chains are brought into the processor's state.</summary>
    public virtual int Depth => 1;

    /// <summary>Temporaries that must be as they are for as long as these are the current flags: see <see cref="LocalPool"/>.</summary>
    public IReadOnlySet<LocalBuilder> Locals { get; set; } = EmptySet;

    private static readonly HashSet<LocalBuilder> EmptySet = [];

    /// <summary>Pushes two values whose comparison is the condition.</summary>
    public virtual Comparison PushComparison(InstructionEmitter e, ConditionCode condition)
    {
        int code = (int)condition - 1;
        PushStatus(e);
        ILGenerator il = e.Il;
        switch (code >> 1)
        {
            case 6 or 7:
                // SF != OF: OF is bit 11, SF bit 7. LE also takes ZF, bit 6.
                LocalBuilder status = e.StoreTemp();
                il.Emit(OpCodes.Ldloc, status);
                il.Emit(OpCodes.Ldloc, status);
                e.Constant(4);
                il.Emit(OpCodes.Shl);
                il.Emit(OpCodes.Xor);
                e.Constant((int)Flags.Of);
                il.Emit(OpCodes.And);
                if (code >> 1 == 7)
                {
                    il.Emit(OpCodes.Ldloc, status);
                    e.Constant((int)Flags.Zf);
                    il.Emit(OpCodes.And);
                    il.Emit(OpCodes.Or);
                }

                break;
            default:
                uint mask = (code >> 1) switch
                {
                    0 => Flags.Of,
                    1 => Flags.Cf,
                    2 => Flags.Zf,
                    3 => Flags.Cf | Flags.Zf,
                    4 => Flags.Sf,
                    _ => Flags.Pf,
                };
                e.Constant((int)mask);
                il.Emit(OpCodes.And);
                break;
        }

        e.Constant(0);
        return (code & 1) != 0 ? Comparison.Equal : Comparison.NotEqual;
    }

    /// <summary>Pushes CF as 0 or 1.</summary>
    public abstract void PushCarry(InstructionEmitter e);

    /// <summary>Pushes the six status flags at their places in EFLAGS.</summary>
    public abstract void PushStatus(InstructionEmitter e);

    /// <summary>Stores them into the processor's state.</summary>
    public abstract void Store(InstructionEmitter e);

    /// <summary>The same flags, still good after guest register <paramref name="register"/> has been overwritten.</summary>
    public abstract FlagValue Preserve(InstructionEmitter e, int register);

    private protected static Comparison ParityOf(InstructionEmitter e, Value result, ConditionCode condition)
    {
        e.Push(result);
        e.Constant(0xFF);
        e.Il.Emit(OpCodes.And);
        e.Il.Emit(OpCodes.Call, EmitMethods.PopCount);
        e.Constant(1);
        e.Il.Emit(OpCodes.And);
        e.Constant(0);
        return condition == ConditionCode.p ? Comparison.Equal : Comparison.NotEqual;
    }

    /// <summary>ZF and SF conditions from a result; null for all others.</summary>
    private protected static Comparison? FromResult(InstructionEmitter e, Value result, int size, ConditionCode condition)
    {
        switch (condition)
        {
            case ConditionCode.e or ConditionCode.ne:
                e.Push(result);
                e.Constant(0);
                return condition == ConditionCode.e ? Comparison.Equal : Comparison.NotEqual;
            case ConditionCode.s or ConditionCode.ns:
                e.PushSigned(result, size);
                e.Constant(0);
                return condition == ConditionCode.s ? Comparison.Less : Comparison.GreaterEqual;
            case ConditionCode.p or ConditionCode.np:
                return ParityOf(e, result, condition);
            default:
                return null;
        }
    }

    private protected static Comparison Signed(ConditionCode condition) => condition switch
    {
        ConditionCode.l => Comparison.Less,
        ConditionCode.ge => Comparison.GreaterEqual,
        ConditionCode.le => Comparison.LessEqual,
        _ => Comparison.Greater,
    };

    private protected static void StoreLazy(InstructionEmitter e, FlagOperation operation, int size)
    {
        e.StoreState(StateLayout.FlagOp, () => e.Constant((int)operation | (size << 8)));
    }

    /// <summary>Stores them computed. The status first: it may have to be read from the state that is about to change.</summary>
    private protected void StoreStatus(InstructionEmitter e)
    {
        PushStatus(e);
        LocalBuilder status = e.StoreTemp();
        StoreLazy(e, FlagOperation.Materialised, 0);
        e.StoreState(StateLayout.Eflags, () =>
        {
            e.LoadState(StateLayout.Eflags, OpCodes.Ldind_I4);
            e.Constant(~Flags.Status);
            e.Il.Emit(OpCodes.And);
            e.Il.Emit(OpCodes.Ldloc, status);
            e.Il.Emit(OpCodes.Or);
        });
    }
}
