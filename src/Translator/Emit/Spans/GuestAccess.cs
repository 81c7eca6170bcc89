using Dbt.Translator.Instructions;
using Iced.Intel;

namespace Dbt.Translator.Emit.Spans;

/// <summary>An access to memory that an instruction will make.</summary>
/// <param name="Site">Where.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Write">Whether it writes.</param>
internal readonly record struct GuestAccess(MemorySite Site, int Size, bool Write)
{
    private const sbyte Esp = 4, Ebp = 5;

    [ThreadStatic]
    private static InstructionInfoFactory? s_factory;

    /// <summary>
    /// Those of an instruction whose address its operands name, and the stack's. Others are left out, and what it says need not be right: it
    /// only tells which accesses it pays to check together, and an access that is not covered in the end is checked by itself.
    /// </summary>
    /// <param name="i">The instruction.</param>
    /// <param name="accesses">Gets them.</param>
    /// <param name="windowed">Whether accesses that go by the address window are to be left out.</param>
    public static void Collect(in Instruction i, List<GuestAccess> accesses, bool windowed)
    {
        accesses.Clear();
        if (windowed && !IsChecked(i))
        {
            return;
        }

        if (i.HasLockPrefix || i.Mnemonic is Mnemonic.Lea or Mnemonic.Nop or Mnemonic.Xchg)
        {
            return;
        }

        for (int operand = 0; operand < i.OpCount; operand++)
        {
            int size = i.MemorySize.GetSize();
            if (i.GetOpKind(operand) == OpKind.Memory && size is > 0 and <= 16)
            {
                OpAccess access = (s_factory ??= new InstructionInfoFactory()).GetInfo(i, InstructionInfoOptions.NoRegisterUsage).GetOpAccess(operand);
                bool writes = access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
                accesses.Add(new GuestAccess(InstructionEmitter.SiteOf(i, size, writes), size, writes));
            }
        }

        switch (i.Mnemonic)
        {
            case Mnemonic.Push or Mnemonic.Call or Mnemonic.Pushfd when i.StackPointerIncrement == -4:
                accesses.Add(Stack(Esp, -4, true));
                break;
            case Mnemonic.Pop or Mnemonic.Ret or Mnemonic.Popfd when i.StackPointerIncrement >= 4:
                accesses.Add(Stack(Esp, 0, false));
                break;
            case Mnemonic.Leave:
                accesses.Add(Stack(Ebp, 0, false));
                break;
        }
    }

    // The host's x87 instructions are in code of their own, where nothing may fault.
    private static bool IsChecked(in Instruction i) => InstructionTable.Lookup(i) is { TestClass: TestClass.Fpu };

    private static GuestAccess Stack(sbyte register, int displacement, bool write) =>
        new(new MemorySite(register, -1, 0, (uint)displacement, null, 4, write), 4, write);
}
