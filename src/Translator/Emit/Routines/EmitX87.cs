using System.Reflection.Emit;
using System.Runtime.InteropServices;
using Dbt.Translator.Instructions;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>
/// x87: instructions that follow one another become one call of host code that holds the same instructions; the guest's registers are in
/// the host's unit (<see cref="LiveUnit.X87"/>). All memory operands are checked before; where one is not as it should be, the
/// interpreter executes the run's first instruction.
/// </summary>
internal static class EmitX87
{
    private const int MaxRun = 32;
    private const int AllMasks = 0x3F;
    private const int CompareFlags = 0x45;

    [ThreadStatic]
    private static InstructionInfoFactory? s_factory;

    /// <summary>The routine of all of them.</summary>
    public static bool Run(InstructionEmitter e, in Instruction instruction)
    {
        if (e.Position < e.X87RunEnd)
        {
            return true;
        }

        Span<Instruction> run = RunAt(e);
        nint stub = X87Stubs.Find(run);
        if (stub == 0)
        {
            return false;
        }

        var hosts = new List<LocalBuilder>();
        foreach (ref readonly Instruction i in run)
        {
            if (!EmitX87Operands.HasMemory(i))
            {
                continue;
            }

            e.SeparateAccess();
            hosts.Add(e.Host(i, i.MemorySize.GetSize(), Writes(i)));
            if (i.Mnemonic == Mnemonic.Fldcw)
            {
                e.PushLoad(hosts[^1], 2);
                e.Constant(AllMasks);
                e.Il.Emit(OpCodes.And);
                e.Constant(AllMasks);
                e.Il.Emit(OpCodes.Bne_Un, e.SideExit(SideExitKind.Rare));
            }
        }

        ref readonly Instruction last = ref run[^1];
        e.EnterX87();
        Call(e, stub, hosts, EmitX87Operands.ReadsFlags(run[0]));
        LocalBuilder result = e.StoreTemp();
        NotePointers(e, run);
        e.X87RunEnd = e.Position + run.Length;
        if (EmitX87Operands.WritesFlags(last))
        {
            e.Il.Emit(OpCodes.Ldloc, result);
            e.Constant(CompareFlags);
            e.Il.Emit(OpCodes.And);
            LocalBuilder status = e.StoreTemp();
            e.SetFlags(new ComputedFlags((emitter, _) => emitter.Il.Emit(OpCodes.Ldloc, status)));
        }
        else if (IsStatusToAx(last))
        {
            e.SetRegister(Register.AX, Value.Local(result));
        }

        return true;
    }

    private static bool IsStatusToAx(in Instruction i) => i.Mnemonic == Mnemonic.Fnstsw && i.Op0Kind == OpKind.Register;

    private static bool IsComputing(in Instruction i) => (InstructionTable.Lookup(i)!.Traits & RowTraits.NativeThunk) != 0;

    /// <summary>What follows here and goes into one call.</summary>
    private static Span<Instruction> RunAt(InstructionEmitter e)
    {
        Span<Instruction> all = CollectionsMarshal.AsSpan(e.Block.Instructions)[e.Position..];
        int length = 0, operands = 0;
        bool writes = false;
        while (length < all.Length && length < MaxRun)
        {
            ref readonly Instruction i = ref all[length];
            if (Translatable.Routine(i, e.Region) != Run)
            {
                break;
            }

            bool memory = EmitX87Operands.HasMemory(i), readsFlags = EmitX87Operands.ReadsFlags(i);

            // The flags go in before the first; a control word is looked at before anything is stored.
            if (length > 0 && (readsFlags || (memory && operands == X87Stubs.MaxOperands) || (i.Mnemonic == Mnemonic.Fldcw && writes)))
            {
                break;
            }

            length++;
            operands += memory ? 1 : 0;
            writes |= memory && Writes(i);
            if (EmitX87Operands.WritesFlags(i) || readsFlags || IsStatusToAx(i))
            {
                break;
            }
        }

        return all[..length];
    }

    private static bool Writes(in Instruction i)
    {
        InstructionInfo info = (s_factory ??= new InstructionInfoFactory()).GetInfo(i);
        for (int operand = 0; operand < i.OpCount; operand++)
        {
            if (i.GetOpKind(operand) == OpKind.Memory
                && info.GetOpAccess(operand) is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite)
            {
                return true;
            }
        }

        return false;
    }

    private static void Call(InstructionEmitter e, nint stub, List<LocalBuilder> hosts, bool flags)
    {
        Type[] parameters = new Type[hosts.Count + (flags ? 1 : 0)];
        Array.Fill(parameters, typeof(long));
        if (flags)
        {
            e.Flags.PushStatus(e);
            e.Il.Emit(OpCodes.Conv_U8);
        }

        foreach (LocalBuilder host in hosts)
        {
            e.Il.Emit(OpCodes.Ldloc, host);
        }

        e.CallStub(stub, typeof(int), parameters);
    }

    /// <summary>Notes the pointers of the last instruction, which the host's own unit would have of the host's code.</summary>
    private static void NotePointers(InstructionEmitter e, Span<Instruction> run)
    {
        int last = -1, lastMemory = -1;
        for (int i = 0; i < run.Length; i++)
        {
            if (IsComputing(run[i]))
            {
                last = i;
                lastMemory = EmitX87Operands.HasMemory(run[i]) ? i : lastMemory;
            }
        }

        if (last < 0)
        {
            return;
        }

        uint eip = run[last].IP32;
        e.StateAddress(StateLayout.X87Last);
        e.Il.Emit(OpCodes.Ldc_I8, (long)((1UL << 63) | ((ulong)e.Region.X87Opcodes[eip] << 32) | eip));
        e.Il.Emit(OpCodes.Stind_I8);
        if (lastMemory >= 0)
        {
            int segment = run[lastMemory].MemorySegment - Register.ES;
            e.StateAddress(StateLayout.X87Data);
            e.PushEffectiveAddress(run[lastMemory]);
            e.Il.Emit(OpCodes.Conv_U8);
            e.Il.Emit(OpCodes.Ldc_I8, (long)((1UL << 63) | ((ulong)segment << 32)));
            e.Il.Emit(OpCodes.Or);
            e.Il.Emit(OpCodes.Stind_I8);
        }
    }
}
