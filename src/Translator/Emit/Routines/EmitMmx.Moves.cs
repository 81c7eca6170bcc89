using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

// Moves between MMX registers, XMM registers, memory and general registers; conversions; EMMS.
internal static partial class EmitMmx
{
    private static void AddMoves()
    {
        MethodInfo mask = VectorMethods.Of(typeof(Sse2), nameof(Sse2.MoveMask), V(typeof(byte)));
        MethodInfo extract = VectorMethods.Of(typeof(Sse2), nameof(Sse2.Extract), V(typeof(ushort)), typeof(byte));
        MethodInfo insert = VectorMethods.Of(typeof(Sse2), nameof(Sse2.Insert), V(typeof(ushort)), typeof(ushort), typeof(byte));
        Add(Mnemonic.Movq, typeof(Sse2), Move);
        Add(Mnemonic.Movntq, typeof(Sse2), Move);
        Add(Mnemonic.Movd, typeof(Sse2), Movd);
        Add(Mnemonic.Movdq2q, typeof(Sse2), Move);
        Add(Mnemonic.Movq2dq, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
        {
            e.PushVector(e.Vector(i, 1, 8, aligned: false));
            e.Il.Emit(OpCodes.Call, ClearUpper);
            e.SetVector(Number(i, 0));
            return true;
        });
        Add(Mnemonic.Pmovmskb, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
        {
            e.PushVector(e.Vector(i, 1, 8, aligned: false));
            e.Il.Emit(OpCodes.Call, mask);
            e.Truncate(1);
            e.SetRegister(i.Op0Register, e.StoreValue());
            return true;
        });
        Add(Mnemonic.Pextrw, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
        {
            e.PushVector(e.Vector(i, 1, 8, aligned: false));
            e.Constant(i.Immediate8 & 3);
            e.Il.Emit(OpCodes.Call, extract);
            e.SetRegister(i.Op0Register, e.StoreValue());
            return true;
        });
        Add(Mnemonic.Pinsrw, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
        {
            Value value = i.Op1Kind == OpKind.Memory ? e.Source(i, 1, 2) : Value.Register(InstructionEmitter.NumberOf(i.Op1Register));
            e.EnterMmx();
            e.PushVector(Number(i, 0));
            e.PushHidden(value);
            e.Truncate(2);
            e.Constant(i.Immediate8 & 3);
            e.Il.Emit(OpCodes.Call, insert);
            e.SetVector(Number(i, 0));
            return true;
        });
        Add(Mnemonic.Emms, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
        {
            e.EmptyMmx();
            return true;
        });
    }

    private static bool Move(InstructionEmitter e, in Instruction i)
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            Store(e, i, 8);
            return true;
        }

        e.PushVector(e.Vector(i, 1, 8, aligned: false));
        e.SetVector(Number(i, 0));
        return true;
    }

    private static bool Movd(InstructionEmitter e, in Instruction i)
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            Store(e, i, 4);
        }
        else if (!i.Op0Register.IsMM())
        {
            e.PushVector(e.Vector(i, 1, 8, aligned: false));
            e.Il.Emit(OpCodes.Call, VectorMethods.ToInt32);
            e.SetRegister(i.Op0Register, e.StoreValue());
        }
        else if (i.Op1Kind == OpKind.Memory)
        {
            e.PushVector(e.Vector(i, 1, 4, aligned: false), clear: true);
            e.SetVector(Number(i, 0));
        }
        else
        {
            e.EnterMmx();
            e.PushHidden(Value.Register(InstructionEmitter.NumberOf(i.Op1Register)));
            e.Il.Emit(OpCodes.Call, VectorMethods.CreateInt32);
            e.SetVector(Number(i, 0));
        }

        return true;
    }

    private static void Store(InstructionEmitter e, in Instruction i, int size)
    {
        LocalBuilder host = e.Host(i, size, write: true);
        int from = Number(i, 1);
        e.EnterMmx();
        e.StoreVector(host, size, () => e.PushVector(from));
    }

    private static void AddConversions()
    {
        Type sse2 = typeof(Sse2), f32 = typeof(float), f64 = typeof(double), i32 = typeof(int);
        ToMmx(Mnemonic.Cvtps2pi, VectorMethods.Of(sse2, nameof(Sse2.ConvertToVector128Int32), V(f32)), 8);
        ToMmx(Mnemonic.Cvttps2pi, VectorMethods.Of(sse2, nameof(Sse2.ConvertToVector128Int32WithTruncation), V(f32)), 8);
        ToMmx(Mnemonic.Cvtpd2pi, VectorMethods.Of(sse2, nameof(Sse2.ConvertToVector128Int32), V(f64)), 16);
        ToMmx(Mnemonic.Cvttpd2pi, VectorMethods.Of(sse2, nameof(Sse2.ConvertToVector128Int32WithTruncation), V(f64)), 16);
        MethodInfo singles = VectorMethods.Of(sse2, nameof(Sse2.ConvertToVector128Single), V(i32));
        MethodInfo doubles = VectorMethods.Of(sse2, nameof(Sse2.ConvertToVector128Double), V(i32));
        MethodInfo merge = VectorMethods.Of(sse2, nameof(Sse2.MoveScalar), V(f64), V(f64));
        Add(Mnemonic.Cvtpi2ps, sse2, (InstructionEmitter e, in Instruction i) =>
        {
            // What is in the upper half must raise nothing, and the upper half of the result stays as it was.
            VectorSource source = e.Vector(i, 1, 8, aligned: false);
            e.PushVector(Number(i, 0));
            e.PushVector(source);
            e.Il.Emit(OpCodes.Call, ClearUpper);
            e.Il.Emit(OpCodes.Call, singles);
            e.Il.Emit(OpCodes.Call, merge);
            e.SetFloat(Number(i, 0));
            return true;
        });
        Add(Mnemonic.Cvtpi2pd, sse2, (InstructionEmitter e, in Instruction i) =>
        {
            e.PushVector(e.Vector(i, 1, 8, aligned: false));
            e.Il.Emit(OpCodes.Call, doubles);
            e.SetVector(Number(i, 0));
            return true;
        });
    }

    private static void ToMmx(Mnemonic mnemonic, MethodInfo method, int size) => Add(mnemonic, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
    {
        e.PushVector(e.Vector(i, 1, size, aligned: size == 16));
        if (size == 8)
        {
            e.Il.Emit(OpCodes.Call, ClearUpper);
        }

        e.Il.Emit(OpCodes.Call, method);
        e.SetFloat(Number(i, 0));
        return true;
    });
}
