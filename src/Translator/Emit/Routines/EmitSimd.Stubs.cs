using System.Reflection.Emit;
using System.Runtime.Intrinsics.X86;
using Dbt.Translator.State;
using Iced.Intel;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit.Routines;

// What .NET has no intrinsic for is a call of host code; so is what reads or writes MXCSR as a whole.
internal static partial class EmitSimd
{
    private const uint MxcsrReserved = 0xFFFF0000;
    private const int MxcsrMasks = 0x1F80;

    [ThreadStatic]
    private static InstructionInfoFactory? s_factory;

    private static void AddStubs()
    {
        foreach (Mnemonic mnemonic in (Mnemonic[])[Mnemonic.Pcmpestri, Mnemonic.Pcmpestrm, Mnemonic.Pcmpistri, Mnemonic.Pcmpistrm])
        {
            Add(mnemonic, typeof(Sse42), (InstructionEmitter e, in Instruction i) =>
            {
                LocalBuilder? host = i.Op1Kind == OpKind.Memory ? e.Host(i, 16, write: false) : null;
                return CallStub(e, i, host, flags: true);
            });
        }

        Add(Mnemonic.Maskmovdqu, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
            CallStub(e, i, e.Host(Gpr.Edi, 0, 16, write: true), flags: false));
        Add(Mnemonic.Stmxcsr, typeof(Sse2), Stmxcsr, floating: true);
        Add(Mnemonic.Ldmxcsr, typeof(Sse2), Ldmxcsr, floating: true);
    }

    private static bool CallStub(InstructionEmitter e, in Instruction i, LocalBuilder? host, bool flags)
    {
        int xmm = 0, written = 0;
        bool writesEcx = false;
        foreach (UsedRegister used in (s_factory ??= new InstructionInfoFactory()).GetInfo(i).GetUsedRegisters())
        {
            bool writes = used.Access is OpAccess.Write or OpAccess.ReadWrite;
            writesEcx |= writes && used.Register == Register.ECX;
            if (used.Register.IsXMM())
            {
                int bit = 1 << (used.Register - Register.XMM0);
                xmm |= bit;
                written |= writes ? bit : 0;
            }
        }

        nint stub = SimdStubs.Find(i, xmm, written);
        if (stub == 0)
        {
            return false;
        }

        e.StoreVectors();
        if (i.Mnemonic is Mnemonic.Pcmpestri or Mnemonic.Pcmpestrm)
        {
            e.StoreState(StateLayout.Gpr((int)Gpr.Eax), () => e.Push(Value.Register((int)Gpr.Eax)));
            e.StoreState(StateLayout.Gpr((int)Gpr.Edx), () => e.Push(Value.Register((int)Gpr.Edx)));
        }

        Call(e, stub, host, typeof(long));
        LocalBuilder result = e.StoreTemp64();
        e.ReloadVectors(written);
        if (writesEcx)
        {
            e.Il.Emit(OpCodes.Ldloc, result);
            e.Constant(32);
            e.Il.Emit(OpCodes.Shr_Un);
            e.Il.Emit(OpCodes.Conv_I4);
            Value ecx = e.StoreValue();
            e.ForgetFlags();
            e.SetRegister(Gpr.Ecx, ecx);
        }

        if (flags)
        {
            e.Il.Emit(OpCodes.Ldloc, result);
            e.Il.Emit(OpCodes.Conv_I4);
            e.Constant((int)Flags.Status);
            e.Il.Emit(OpCodes.And);
            LocalBuilder status = e.StoreTemp();
            e.SetFlags(new ComputedFlags((emitter, _) => emitter.Il.Emit(OpCodes.Ldloc, status)));
        }

        return true;
    }

    private static bool Stmxcsr(InstructionEmitter e, in Instruction i)
    {
        nint stub = SimdStubs.Mxcsr(load: false);
        if (stub == 0 || e.UsesMmx)
        {
            return false;
        }

        LocalBuilder host = e.Host(i, 4, write: true);
        e.StoreVectors();
        Call(e, stub, host, typeof(void));
        e.ReloadVectors();
        return true;
    }

    private static bool Ldmxcsr(InstructionEmitter e, in Instruction i)
    {
        nint stub = SimdStubs.Mxcsr(load: true);
        if (stub == 0 || e.UsesMmx)
        {
            return false;
        }

        Value value = e.Source(i, 0, 4);
        Label rare = e.SideExit(SideExitKind.Rare);
        e.Push(value);
        e.Constant(unchecked((int)MxcsrReserved) | MxcsrMasks);
        e.Il.Emit(OpCodes.And);
        e.Constant(MxcsrMasks);
        e.Il.Emit(OpCodes.Bne_Un, rare);
        e.PushWide(value);
        LocalBuilder wide = e.StoreTemp64();

        // Registers come back from memory, so that RyuJIT takes no result from before for the same one under another rounding mode.
        e.StoreVectors();
        Call(e, stub, wide, typeof(void));
        e.ReloadVectors();
        return true;
    }

    private static void Call(InstructionEmitter e, nint stub, LocalBuilder? argument, Type result)
    {
        e.Il.Emit(OpCodes.Ldarg_0);
        if (argument is null)
        {
            e.Il.Emit(OpCodes.Ldc_I8, 0L);
        }
        else
        {
            e.Il.Emit(OpCodes.Ldloc, argument);
        }

        e.CallStub(stub, result, typeof(nint), typeof(long));
    }
}
