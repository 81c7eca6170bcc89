using System.Reflection.Emit;
using Dbt.Translator.State;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit;

// MMX registers are IL locals while MMX mode lasts: from the first MMX instruction to EMMS, an x87 instruction, or an exit. Then the area has
// TOP 0 and all tags valid, but for the registers' values, which are stored where the mode ends. Bits 64 to 79 of a register that is
// written are stored at once: they are ones whatever is written, and paths that don't write it leave them as they are.
internal sealed partial class InstructionEmitter
{
    private const int FirstMmx = 8;
    private const int X87Masks = 0x3F;

    // TOP and ES in the upper half of the area's first four bytes, which are the control word and the status word.
    private const int Unready = 0x38800000;

    private LocalBuilder? _mmxActive;
    private MmxState _mmx;

    /// <summary>Whether there is an MMX instruction. Set before anything is emitted.</summary>
    public bool UsesMmx { get; set; }

    /// <summary>Writes that MMX mode has not begun, at the entry.</summary>
    public void BeginMmx()
    {
        if (UsesMmx)
        {
            _mmxActive = Il.DeclareLocal(typeof(int));
            SetMmxActive(0);
        }
    }

    /// <summary>
    /// MMX mode begins here, unless it lasts already: TOP 0, all tags valid. Leaves where TOP is another, or an exception waits. The IL stack
    /// is empty.
    /// </summary>
    public void EnterMmx()
    {
        if (_mmx.Active)
        {
            return;
        }

        Label enter = Il.DefineLabel(), entered = Il.DefineLabel(), leave = SideExit(SideExitKind.Rare);
        Il.Emit(OpCodes.Ldloc, _mmxActive!);
        Il.Emit(OpCodes.Brfalse, enter);
        Il.MarkLabel(entered);
        Defer(() =>
        {
            Il.MarkLabel(enter);
            WriteEnterMmx(leave);
            Il.Emit(OpCodes.Br, entered);
        });
        _mmx = _mmx with { Active = true };
    }

    /// <summary>MMX mode ends here, if it lasts: the area has all registers afterwards. The IL stack is empty.</summary>
    public void LeaveMmx()
    {
        if (!UsesMmx)
        {
            return;
        }

        StoreMmx();
        SetMmxActive(0);
        _mmx = default;
    }

    /// <summary>Stores the MMX registers written, where MMX mode lasts.</summary>
    public void StoreMmx()
    {
        if (!UsesMmx)
        {
            return;
        }

        Label none = Il.DefineLabel();
        Il.Emit(OpCodes.Ldloc, _mmxActive!);
        Il.Emit(OpCodes.Brfalse, none);
        for (int number = 0; number < 8; number++)
        {
            if ((WrittenVectors >> (FirstMmx + number) & 1) != 0)
            {
                StateAddress(StateLayout.Mm(number));
                PushVector(FirstMmx + number);
                Il.Emit(OpCodes.Call, VectorMethods.ToDouble);
                Il.Emit(OpCodes.Stind_R8);
            }
        }

        Il.MarkLabel(none);
    }

    /// <summary>EMMS: MMX mode ends, and all registers are empty.</summary>
    public void EmptyMmx()
    {
        EnterMmx();
        LeaveMmx();
        StoreTags(0);
    }

    /// <summary>Where MMX and x87 instructions share a region, the host's unit holds the guest's registers from here on. May leave.</summary>
    public void EnterX87()
    {
        if (!UsesMmx)
        {
            return;
        }

        LeaveMmx();
        Label live = Il.DefineLabel();
        PushX87Live();
        Il.Emit(OpCodes.Brtrue, live);
        Il.Emit(OpCodes.Ldarg_0);
        Constant((int)LiveUnit.X87);
        CallHost(StateLayout.ActivateCode, typeof(int), typeof(nint), typeof(int));
        Il.Emit(OpCodes.Brfalse, SideExit(SideExitKind.Rare));
        Il.MarkLabel(live);
    }

    private void WriteEnterMmx(Label leave)
    {
        Label memory = Il.DefineLabel();
        PushX87Live();
        if (Region.MixesX87AndMmx)
        {
            Il.Emit(OpCodes.Brfalse, memory);
            Il.Emit(OpCodes.Ldarg_0);
            CallHost(StateLayout.HarvestX87Code, typeof(void), typeof(nint));
        }
        else
        {
            Il.Emit(OpCodes.Brtrue, leave);
        }

        Il.MarkLabel(memory);
        LoadState(StateLayout.Fx, OpCodes.Ldind_I4);
        LocalBuilder words = StoreTemp();
        Il.Emit(OpCodes.Ldloc, words);
        Constant(Unready);
        Il.Emit(OpCodes.And);
        Il.Emit(OpCodes.Brtrue, leave);
        Il.Emit(OpCodes.Ldloc, words);
        Constant(16);
        Il.Emit(OpCodes.Shr_Un);
        Il.Emit(OpCodes.Ldloc, words);
        Il.Emit(OpCodes.Not);
        Il.Emit(OpCodes.And);
        Constant(X87Masks);
        Il.Emit(OpCodes.And);
        Il.Emit(OpCodes.Brtrue, leave);
        StoreTags(0xFF);
        for (int number = 0; number < 8; number++)
        {
            if ((UsedVectors >> (FirstMmx + number) & 1) != 0)
            {
                LoadState(StateLayout.Mm(number), OpCodes.Ldind_R8);
                Il.Emit(OpCodes.Call, VectorMethods.CreateDoubleUnsafe);
                Il.Emit(OpCodes.Stloc, VectorLocal(FirstMmx + number));
            }
        }

        SetMmxActive(1);
    }

    private void NoteMmxWritten(int number)
    {
        if ((_mmx.Written >> number & 1) == 0)
        {
            _mmx = _mmx with { Written = _mmx.Written | (1 << number) };
            StateAddress(StateLayout.Mm(number) + 8);
            Constant(0xFFFF);
            Il.Emit(OpCodes.Stind_I2);
        }
    }

    private void PushX87Live()
    {
        LoadState(StateLayout.LiveUnits, OpCodes.Ldind_I4);
        Constant((int)LiveUnit.X87);
        Il.Emit(OpCodes.And);
    }

    private void StoreTags(int tags)
    {
        StateAddress(StateLayout.Fx + 4);
        Constant(tags);
        Il.Emit(OpCodes.Stind_I1);
    }

    private void SetMmxActive(int active)
    {
        Constant(active);
        Il.Emit(OpCodes.Stloc, _mmxActive!);
    }
}
