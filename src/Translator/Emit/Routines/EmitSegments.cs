using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>
/// Reads of segment registers, and ring 0's loads of DS, ES, FS and GS: of what kernels load, which is a segment of 4 GiB for data, or nothing into FS and GS. All else is the interpreter's, for it
/// changes more of what translations are made for.
/// </summary>
internal static class EmitSegments
{
    // A descriptor's upper half: present, data, writable, accessed, growing upwards, limit FFFFFh in pages. DPL, D/B, L, AVL and the base are as they like.
    private const uint SimpleMask = 0x008F9F00, Simple = 0x008F9300, BaseMask = 0xFF0000FF;
    private const int LimitMask = 0xFFFF, DplShift = 13, SelectorIndex = 0xFFF8, LdtBit = 4, RplMask = 3, LastInPage = 4096 - 8;

    /// <summary>Whether a load of a segment register is translated in a mode.</summary>
    public static bool IsLoadTranslated(Register register, CpuMode mode) =>
        register is Register.DS or Register.ES or Register.FS or Register.GS && (mode & (CpuMode.User | CpuMode.CplShift0 | CpuMode.CplShift1)) == 0;

    /// <summary>Whether a load ends its block: accesses by FS and GS are checked together within one, and what follows may be of another mode.</summary>
    public static bool EndsBlock(in Instruction i) =>
        i.Mnemonic is Mnemonic.Mov or Mnemonic.Pop && i.Op0Kind == OpKind.Register && i.Op0Register is Register.FS or Register.GS;

    /// <summary>MOV from a segment register.</summary>
    public static bool Mov(InstructionEmitter e, in Instruction i)
    {
        if (i.Op0Register.IsSegmentRegister())
        {
            Value selector = e.Source(i, 1, 2);
            Load(e, i.Op0Register, Word(e, selector), pops: false);
        }
        else if (i.Op0Kind == OpKind.Memory)
        {
            GuestPlace place = e.Place(i, 2, write: true);
            e.Store(place, Selector(e, i.Op1Register), 2);
        }
        else
        {
            e.SetRegister(i.Op0Register, Selector(e, i.Op1Register));
        }

        return true;
    }

    /// <summary>PUSH of a segment register, zero-extended.</summary>
    public static bool Push(InstructionEmitter e, in Instruction i)
    {
        if (i.StackPointerIncrement != -4)
        {
            return false;
        }

        EmitStack.PushValue(e, Selector(e, i.Op0Register));
        return true;
    }

    /// <summary>POP of a segment register.</summary>
    public static bool Pop(InstructionEmitter e, in Instruction i)
    {
        if (i.StackPointerIncrement != 4 || !IsLoadTranslated(i.Op0Register, e.Mode))
        {
            return false;
        }

        Load(e, i.Op0Register, Word(e, e.Load(e.Place(Gpr.Esp, 0, 4, write: false), 4)), pops: true);
        return true;
    }

    private static void Load(InstructionEmitter e, Register register, Value selector, bool pops)
    {
        bool based = register is Register.FS or Register.GS;
        CpuMode simple = register == Register.FS ? CpuMode.FsSimple : CpuMode.GsSimple;
        if (register == Register.GS && (e.Mode & CpuMode.GsSimple) == 0)
        {
            // What it is counts for the mode or doesn't: see CpuState.KernelUsesGs.
            e.LoadState(StateLayout.KernelUsesGs, OpCodes.Ldind_I4);
            e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
            simple = CpuMode.None;
        }

        var index = (SegmentIndex)(register - Register.ES);
        System.Reflection.Emit.Label done = e.Il.DefineLabel(), nothing = e.Il.DefineLabel();
        And(e, selector, 0xFFFF & ~RplMask);
        e.Il.Emit(OpCodes.Brfalse, based ? nothing : e.SideExit(SideExitKind.Rare));
        (Value low, Value high) = ReadDescriptor(e, selector);
        LeaveUnless(e, low, based ? LimitMask : -1, LimitMask);
        LeaveUnless(e, high, (int)(based ? SimpleMask : SimpleMask | BaseMask), (int)Simple);
        e.Push(high);
        e.Constant(DplShift);
        e.Il.Emit(OpCodes.Shr_Un);
        e.Constant(RplMask);
        e.Il.Emit(OpCodes.And);
        And(e, selector, RplMask);
        e.Il.Emit(OpCodes.Blt, e.SideExit(SideExitKind.Rare));
        if (based)
        {
            Store(e, index, nameof(Segment.Base), () =>
            {
                e.Push(low);
                e.Constant(16);
                e.Il.Emit(OpCodes.Shr_Un);
                And(e, high, 0xFF);
                e.Constant(16);
                e.Il.Emit(OpCodes.Shl);
                e.Il.Emit(OpCodes.Or);
                And(e, high, unchecked((int)0xFF000000));
                e.Il.Emit(OpCodes.Or);
            });
            Store(e, index, nameof(Segment.Low), () => e.Constant(0));
            Store(e, index, nameof(Segment.High), () => e.Constant(-1));
        }

        // With the selector, which lies behind them.
        Store(e, index, nameof(Segment.Attributes), () =>
        {
            e.Push(high);
            e.Constant(8);
            e.Il.Emit(OpCodes.Shr_Un);
            e.Il.Emit(OpCodes.Conv_U2);
            e.Push(selector);
            e.Constant(16);
            e.Il.Emit(OpCodes.Shl);
            e.Il.Emit(OpCodes.Or);
        });
        if (based)
        {
            StoreMode(e, e.Mode | simple);
            e.Il.Emit(OpCodes.Br, done);
            e.Il.MarkLabel(nothing);
            Store(e, index, nameof(Segment.Base), () => e.Constant(0));
            Store(e, index, nameof(Segment.Low), () => e.Constant(1));
            Store(e, index, nameof(Segment.High), () => e.Constant(0));
            Store(e, index, nameof(Segment.Attributes), () =>
            {
                e.Push(selector);
                e.Constant(16);
                e.Il.Emit(OpCodes.Shl);
            });
            StoreMode(e, e.Mode & ~simple);
        }

        e.Il.MarkLabel(done);
        if (pops)
        {
            EmitStack.MoveStack(e, Gpr.Esp, 4);
        }

        if (based)
        {
            e.LeaveBehind();
        }
    }

    // In the GDT, by the software TLB: a table whose page isn't there, or beyond whose limit the selector is, is the interpreter's.
    private static (Value Low, Value High) ReadDescriptor(InstructionEmitter e, Value selector)
    {
        And(e, selector, LdtBit);
        e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
        e.Push(selector);
        e.Constant(SelectorIndex ^ 0xFFFF);
        e.Il.Emit(OpCodes.Or);
        e.LoadState(StateLayout.GdtrLimit, OpCodes.Ldind_I4);
        e.Il.Emit(OpCodes.Bgt_Un, e.SideExit(SideExitKind.Rare));
        e.LoadState(StateLayout.GdtrBase, OpCodes.Ldind_I4);
        And(e, selector, SelectorIndex);
        e.Il.Emit(OpCodes.Add);
        e.Il.Emit(OpCodes.Conv_U8);
        LocalBuilder linear = e.StoreTemp64();
        e.Il.Emit(OpCodes.Ldloc, linear);
        e.Il.Emit(OpCodes.Conv_I4);
        e.Constant(0xFFF);
        e.Il.Emit(OpCodes.And);
        e.Constant(LastInPage);
        e.Il.Emit(OpCodes.Bgt_Un, e.SideExit(SideExitKind.Rare));
        LocalBuilder host = e.HostOf(linear, 4);
        Value low = e.Load(host, 4);
        e.Il.Emit(OpCodes.Ldloc, host);
        e.Constant(4);
        e.Il.Emit(OpCodes.Conv_I8);
        e.Il.Emit(OpCodes.Add);
        Value high = e.Load(e.StoreTemp64(), 4);
        return (low, high);
    }

    private static void LeaveUnless(InstructionEmitter e, Value value, int mask, int expected)
    {
        And(e, value, mask);
        e.Constant(expected);
        e.Il.Emit(OpCodes.Bne_Un, e.SideExit(SideExitKind.Rare));
    }

    private static void And(InstructionEmitter e, Value value, int mask)
    {
        e.Push(value);
        e.Constant(mask);
        e.Il.Emit(OpCodes.And);
    }

    private static Value Word(InstructionEmitter e, Value value)
    {
        And(e, value, 0xFFFF);
        return e.StoreValue();
    }

    private static void Store(InstructionEmitter e, SegmentIndex index, string field, Action push) => e.StoreState(StateLayout.SegmentField(index, field), push);

    private static void StoreMode(InstructionEmitter e, CpuMode mode) => e.StoreState(StateLayout.Mode, () => e.Constant((int)mode));

    private static Value Selector(InstructionEmitter e, Register register)
    {
        e.LoadState(StateLayout.SegmentSelector((SegmentIndex)(register - Register.ES)), OpCodes.Ldind_U2);
        return e.StoreValue();
    }
}
