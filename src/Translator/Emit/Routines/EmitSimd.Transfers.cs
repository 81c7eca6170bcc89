using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

// Moves between XMM registers, memory and general registers.
internal static partial class EmitSimd
{
    private static void AddTransfers()
    {
        foreach (Mnemonic aligned in (Mnemonic[])[Mnemonic.Movaps, Mnemonic.Movapd, Mnemonic.Movdqa, Mnemonic.Movntps, Mnemonic.Movntpd, Mnemonic.Movntdq])
        {
            Move(aligned, typeof(Sse2), true);
        }

        foreach (Mnemonic unaligned in (Mnemonic[])[Mnemonic.Movups, Mnemonic.Movupd, Mnemonic.Movdqu])
        {
            Move(unaligned, typeof(Sse2), false);
        }

        Move(Mnemonic.Lddqu, typeof(Sse3), false);
        Move(Mnemonic.Movntdqa, typeof(Sse41), true);
        MoveScalar(Mnemonic.Movss, VectorMethods.Of(typeof(Sse), nameof(Sse.MoveScalar), V(typeof(float)), V(typeof(float))), 4);
        MoveScalar(Mnemonic.Movsd, VectorMethods.Of(typeof(Sse2), nameof(Sse2.MoveScalar), V(typeof(double)), V(typeof(double))), 8);
        Add(Mnemonic.Movq, typeof(Sse2), Movq);
        Add(Mnemonic.Movd, typeof(Sse2), Movd);
        Add(Mnemonic.Movnti, typeof(Sse2), EmitMoves.Mov);

        foreach (Mnemonic low in (Mnemonic[])[Mnemonic.Movlps, Mnemonic.Movlpd])
        {
            MoveHalf(low, nameof(Sse2.MoveScalar), high: false);
        }

        foreach (Mnemonic high in (Mnemonic[])[Mnemonic.Movhps, Mnemonic.Movhpd])
        {
            MoveHalf(high, nameof(Sse2.UnpackLow), high: true);
        }

        Mask(Mnemonic.Movmskps, VectorMethods.Of(typeof(Sse), nameof(Sse.MoveMask), V(typeof(float))));
        Mask(Mnemonic.Movmskpd, VectorMethods.Of(typeof(Sse2), nameof(Sse2.MoveMask), V(typeof(double))));
        Mask(Mnemonic.Pmovmskb, VectorMethods.Of(typeof(Sse2), nameof(Sse2.MoveMask), V(typeof(byte))));
        Extract(Mnemonic.Pextrb, typeof(Sse41), typeof(byte), 1);
        Extract(Mnemonic.Pextrw, typeof(Sse2), typeof(ushort), 2);
        Extract(Mnemonic.Pextrd, typeof(Sse41), typeof(int), 4);
        Extract(Mnemonic.Extractps, typeof(Sse41), typeof(int), 4);
        Insert(Mnemonic.Pinsrb, typeof(Sse41), typeof(byte), 1);
        Insert(Mnemonic.Pinsrw, typeof(Sse2), typeof(ushort), 2);
        Insert(Mnemonic.Pinsrd, typeof(Sse41), typeof(int), 4);
    }

    private static void Move(Mnemonic mnemonic, Type host, bool aligned) => Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            int from = Xmm(i, 1);
            GuestPlace to = aligned ? e.PlaceAligned(i, 16, write: true) : e.Place(i, 16, write: true);
            e.StoreVector(to, 16, () => e.PushVector(from));
            return true;
        }

        e.PushVector(e.Vector(i, 1, 16, aligned));
        e.SetVector(Xmm(i, 0));
        return true;
    });

    private static void MoveScalar(Mnemonic mnemonic, MethodInfo merge, int size) => Add(mnemonic, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            int from = Xmm(i, 1);
            e.StoreVector(e.Place(i, size, write: true), size, () => e.PushVector(from));
            return true;
        }

        int to = Xmm(i, 0);
        VectorSource source = e.Vector(i, 1, size, aligned: false);
        if (source.Memory is null)
        {
            e.PushVector(to);
            e.PushVector(source);
            e.Il.Emit(OpCodes.Call, merge);
        }
        else
        {
            e.PushVector(source, clear: true);
        }

        e.SetVector(to);
        return true;
    });

    private static bool Movq(InstructionEmitter e, in Instruction i)
    {
        if (i.Op0Kind == OpKind.Memory)
        {
            int from = Xmm(i, 1);
            e.StoreVector(e.Place(i, 8, write: true), 8, () => e.PushVector(from));
            return true;
        }

        VectorSource source = e.Vector(i, 1, 8, aligned: false);
        e.PushVector(source, clear: true);
        if (source.Memory is null)
        {
            e.Il.Emit(OpCodes.Call, MoveLow);
        }

        e.SetVector(Xmm(i, 0));
        return true;
    }

    private static bool Movd(InstructionEmitter e, in Instruction i)
    {
        if (i.Op0Register.IsXMM())
        {
            e.PushHidden(e.Source(i, 1, 4));
            e.Il.Emit(OpCodes.Call, VectorMethods.CreateInt32);
            e.SetVector(Xmm(i, 0));
            return true;
        }

        int from = Xmm(i, 1);
        if (i.Op0Kind == OpKind.Memory)
        {
            e.StoreVector(e.Place(i, 4, write: true), 4, () => e.PushVector(from));
            return true;
        }

        e.PushVector(from);
        e.Il.Emit(OpCodes.Call, VectorMethods.ToInt32);
        e.SetRegister(i.Op0Register, e.StoreValue());
        return true;
    }

    private static readonly MethodInfo MoveLow = VectorMethods.Of(typeof(Sse2), nameof(Sse2.MoveScalar), V(typeof(long)));
    private static readonly MethodInfo UnpackHigh = VectorMethods.Of(typeof(Sse2), nameof(Sse2.UnpackHigh), V(typeof(double)), V(typeof(double)));

    /// <summary>One half of a register from or to memory; the other half stays.</summary>
    private static void MoveHalf(Mnemonic mnemonic, string name, bool high)
    {
        MethodInfo merge = VectorMethods.Of(typeof(Sse2), name, V(typeof(double)), V(typeof(double)));
        Add(mnemonic, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
        {
            if (i.Op0Kind == OpKind.Memory)
            {
                int from = Xmm(i, 1);
                e.StoreVector(e.Place(i, 8, write: true), 8, () =>
                {
                    e.PushVector(from);
                    if (high)
                    {
                        e.PushVector(from);
                        e.Il.Emit(OpCodes.Call, UnpackHigh);
                    }
                });
                return true;
            }

            int to = Xmm(i, 0);
            VectorSource source = e.Vector(i, 1, 8, aligned: false);
            e.PushVector(to);
            e.PushVector(source);
            e.Il.Emit(OpCodes.Call, merge);
            e.SetVector(to);
            return true;
        });
    }

    private static void Mask(Mnemonic mnemonic, MethodInfo method) => Add(mnemonic, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
    {
        e.PushVector(Xmm(i, 1));
        e.Il.Emit(OpCodes.Call, method);
        e.SetRegister(i.Op0Register, e.StoreValue());
        return true;
    });

    private static void Extract(Mnemonic mnemonic, Type host, Type element, int size)
    {
        MethodInfo method = VectorMethods.Of(host, "Extract", V(element), typeof(byte));
        Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
        {
            GuestPlace? to = i.Op0Kind == OpKind.Memory ? e.Place(i, size, write: true) : default(GuestPlace?);
            e.PushVector(Xmm(i, 1));
            e.Constant(i.Immediate8 & ((16 / size) - 1));
            e.Il.Emit(OpCodes.Call, method);
            Value value = e.StoreValue();
            if (to is { } memory)
            {
                e.Store(memory, value, size);
            }
            else
            {
                e.SetRegister(i.Op0Register, value);
            }

            return true;
        });
    }

    private static void Insert(Mnemonic mnemonic, Type host, Type element, int size)
    {
        MethodInfo method = VectorMethods.Of(host, "Insert", V(element), element, typeof(byte));
        Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
        {
            int to = Xmm(i, 0);
            Value value = i.Op1Kind == OpKind.Memory ? e.Source(i, 1, size) : Value.Register(InstructionEmitter.NumberOf(i.Op1Register));
            e.PushVector(to);
            e.PushHidden(value);
            e.Truncate(size);
            e.Constant(i.Immediate8 & ((16 / size) - 1));
            e.Il.Emit(OpCodes.Call, method);
            e.SetVector(to);
            return true;
        });
    }
}
