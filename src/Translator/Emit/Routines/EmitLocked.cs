using System.Reflection;
using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit.Routines;

/// <summary>
/// LOCK-prefixed instructions, XCHG with memory and CMPXCHG8B: host atomics on guest memory. Operands that are not
/// aligned are left to the interpreter.
/// </summary>
internal static class EmitLocked
{
    private static readonly MethodInfo[] CompareExchange = [Method("CompareExchange", typeof(byte), 2), Method("CompareExchange", typeof(ushort), 2), null!, Method("CompareExchange", typeof(uint), 2)];
    private static readonly MethodInfo[] Exchange = [Method("Exchange", typeof(byte), 1), Method("Exchange", typeof(ushort), 1), null!, Method("Exchange", typeof(uint), 1)];
    private static readonly MethodInfo CompareExchange8 = Method("CompareExchange", typeof(ulong), 2);

    public static bool Xchg(InstructionEmitter e, in Instruction i)
    {
        // Iced may give the operands in either order.
        Register register = i.Op0Kind == OpKind.Register ? i.Op0Register : i.Op1Register;
        int size = register.GetSize();
        LocalBuilder host = Host(e, i, size);
        Value value = e.RegisterValue(register);
        e.Il.Emit(OpCodes.Ldloc, host);
        e.Push(value);
        e.Il.Emit(OpCodes.Call, Exchange[size - 1]);
        e.SetRegister(register, e.StoreValue());
        return true;
    }

    public static bool Binary(InstructionEmitter e, in Instruction i, OpCode operation)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        LocalBuilder host = Host(e, i, size);
        Value b = e.Source(i, 1, size);
        (Value old, Value result) = Update(e, host, size, old =>
        {
            e.Push(old);
            e.Push(b);
            e.Il.Emit(operation);
        });
        e.SetFlags(operation == OpCodes.Add ? new AddFlags(size, b, result)
            : operation == OpCodes.Sub ? new SubtractFlags(size, old, b, result)
            : new LogicFlags(size, result));
        return true;
    }

    public static bool WithCarry(InstructionEmitter e, in Instruction i, OpCode operation)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        LocalBuilder host = Host(e, i, size);
        Value b = e.Fixed(e.Source(i, 1, size));
        e.Flags.PushCarry(e);
        Value carry = e.StoreValue();
        (Value old, Value result) = Update(e, host, size, old =>
        {
            e.Push(old);
            e.Push(b);
            e.Il.Emit(operation);
            e.Push(carry);
            e.Il.Emit(operation);
        });
        e.SetFlags(EmitArithmetic.CarryFlags(operation, size, old, b, carry, result));
        return true;
    }

    public static bool Step(InstructionEmitter e, in Instruction i, bool increment)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        LocalBuilder host = Host(e, i, size);
        (_, Value result) = Update(e, host, size, old =>
        {
            e.Push(old);
            e.Constant(1);
            e.Il.Emit(increment ? OpCodes.Add : OpCodes.Sub);
        });
        e.SetFlags(new StepFlags(size, increment, result, e.Flags));
        return true;
    }

    public static bool Not(InstructionEmitter e, in Instruction i)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        LocalBuilder host = Host(e, i, size);
        Update(e, host, size, old =>
        {
            e.Push(old);
            e.Il.Emit(OpCodes.Not);
        });
        return true;
    }

    public static bool Neg(InstructionEmitter e, in Instruction i)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        LocalBuilder host = Host(e, i, size);
        (Value old, Value result) = Update(e, host, size, old =>
        {
            e.Push(old);
            e.Il.Emit(OpCodes.Neg);
        });
        e.SetFlags(new SubtractFlags(size, Value.Constant(0), old, result));
        return true;
    }

    public static bool BitTest(InstructionEmitter e, in Instruction i, OpCode? change)
    {
        if (change is not { } operation || i.Op0Kind != OpKind.Memory)
        {
            return false;
        }

        int size = InstructionEmitter.SizeOf(i, 0);
        Value index = e.Fixed(e.Source(i, 1, size));
        LocalBuilder host = EmitBits.Host(e, i, size, index, write: true);
        RequireAligned(e, host, size);
        Value bit = EmitBits.Bit(e, index, size);
        (Value old, _) = Update(e, host, size, old => EmitBits.PushChanged(e, old, bit, operation));
        e.Push(old);
        e.Push(bit);
        e.Il.Emit(OpCodes.Shr_Un);
        e.Constant(1);
        e.Il.Emit(OpCodes.And);
        EmitBits.SetCarry(e, e.StoreValue());
        return true;
    }

    public static bool Xadd(InstructionEmitter e, in Instruction i)
    {
        if (i.Op0Kind != OpKind.Memory)
        {
            return false;
        }

        int size = InstructionEmitter.SizeOf(i, 0);
        LocalBuilder host = i.HasLockPrefix ? Host(e, i, size) : e.Host(i, size, write: true);
        Value b = e.Fixed(e.RegisterValue(i.Op1Register));
        Value old, result;
        if (i.HasLockPrefix)
        {
            (old, result) = Update(e, host, size, PushSum);
        }
        else
        {
            old = e.Load(host, size);
            PushSum(old);
            e.Truncate(size);
            result = e.StoreValue();
            e.Store(host, result, size);
        }

        e.ForgetFlags();
        e.SetRegister(i.Op1Register, old);
        e.SetFlags(new AddFlags(size, b, result));
        return true;

        void PushSum(Value old)
        {
            e.Push(old);
            e.Push(b);
            e.Il.Emit(OpCodes.Add);
        }
    }

    public static bool Cmpxchg(InstructionEmitter e, in Instruction i)
    {
        if (i.Op0Kind != OpKind.Memory)
        {
            return false;
        }

        int size = InstructionEmitter.SizeOf(i, 0);
        Register accumulator = size switch { 1 => Register.AL, 2 => Register.AX, _ => Register.EAX };
        LocalBuilder host = i.HasLockPrefix ? Host(e, i, size) : e.Host(i, size, write: true);
        Value value = e.RegisterValue(i.Op1Register);
        Value expected = e.Fixed(e.RegisterValue(accumulator));
        Value old;
        if (i.HasLockPrefix)
        {
            e.Il.Emit(OpCodes.Ldloc, host);
            e.Push(value);
            e.Push(expected);
            e.Il.Emit(OpCodes.Call, CompareExchange[size - 1]);
            old = e.StoreValue();
        }
        else
        {
            // Always a write, of the old value where they differ.
            old = e.Load(host, size);
            LocalBuilder written = e.Temp();
            Label differ = e.Il.DefineLabel();
            e.Push(old);
            e.Il.Emit(OpCodes.Stloc, written);
            e.Push(old);
            e.Push(expected);
            e.Il.Emit(OpCodes.Bne_Un, differ);
            e.Push(value);
            e.Il.Emit(OpCodes.Stloc, written);
            e.Il.MarkLabel(differ);
            e.Store(host, Value.Local(written), size);
        }

        // Where they are equal this changes nothing.
        e.ForgetFlags();
        e.SetRegister(accumulator, old);
        e.SetFlags(new SubtractFlags(size, expected, old, null));
        return true;
    }

    public static bool Cmpxchg8b(InstructionEmitter e, in Instruction i)
    {
        LocalBuilder host = Host(e, i, 8);
        e.PushWide(Value.Register((int)Gpr.Edx));
        e.Constant(32);
        e.Il.Emit(OpCodes.Shl);
        e.PushWide(Value.Register((int)Gpr.Eax));
        e.Il.Emit(OpCodes.Or);
        LocalBuilder expected = e.StoreTemp64();
        e.Il.Emit(OpCodes.Ldloc, host);
        e.PushWide(Value.Register((int)Gpr.Ecx));
        e.Constant(32);
        e.Il.Emit(OpCodes.Shl);
        e.PushWide(Value.Register((int)Gpr.Ebx));
        e.Il.Emit(OpCodes.Or);
        e.Il.Emit(OpCodes.Ldloc, expected);
        e.Il.Emit(OpCodes.Call, CompareExchange8);
        LocalBuilder old = e.StoreTemp64();
        e.Il.Emit(OpCodes.Ldloc, old);
        e.Il.Emit(OpCodes.Ldloc, expected);
        Comparison.NotEqual.EmitBoolean(e.Il);
        Value differ = e.StoreValue();
        e.Il.Emit(OpCodes.Ldloc, old);
        e.Il.Emit(OpCodes.Conv_I4);
        e.SetRegister(Gpr.Eax, e.StoreValue());
        e.Il.Emit(OpCodes.Ldloc, old);
        e.Constant(32);
        e.Il.Emit(OpCodes.Shr_Un);
        e.Il.Emit(OpCodes.Conv_I4);
        e.SetRegister(Gpr.Edx, e.StoreValue());
        e.SetFlags(new ZeroFlag(4, differ, e.Flags));
        return true;
    }

    private static LocalBuilder Host(InstructionEmitter e, in Instruction i, int size)
    {
        LocalBuilder host = e.Host(i, size, write: true);
        RequireAligned(e, host, size);
        return host;
    }

    private static void RequireAligned(InstructionEmitter e, LocalBuilder host, int size)
    {
        if (size > 1)
        {
            e.Il.Emit(OpCodes.Ldloc, host);
            e.Il.Emit(OpCodes.Conv_I4);
            e.Constant(size - 1);
            e.Il.Emit(OpCodes.And);
            e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Unaligned));
        }
    }

    /// <summary>Replaces a word atomically; <paramref name="compute"/> pushes the new value.</summary>
    private static (Value Old, Value Result) Update(InstructionEmitter e, LocalBuilder host, int size, Action<Value> compute)
    {
        ILGenerator il = e.Il;
        LocalBuilder old = e.Temp(), result = e.Temp();
        Label retry = il.DefineLabel();
        il.MarkLabel(retry);
        e.PushLoad(host, size);
        il.Emit(OpCodes.Stloc, old);
        compute(Value.Local(old));
        e.Truncate(size);
        il.Emit(OpCodes.Stloc, result);
        il.Emit(OpCodes.Ldloc, host);
        il.Emit(OpCodes.Ldloc, result);
        il.Emit(OpCodes.Ldloc, old);
        il.Emit(OpCodes.Call, CompareExchange[size - 1]);
        il.Emit(OpCodes.Ldloc, old);
        il.Emit(OpCodes.Bne_Un, retry);
        return (Value.Local(old), Value.Local(result));
    }

    private static MethodInfo Method(string name, Type type, int values) => EmitMethods.Of(
        typeof(Interlocked), name, values == 1 ? [type.MakeByRefType(), type] : [type.MakeByRefType(), type, type]);
}
