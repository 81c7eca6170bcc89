using System.Text;
using Dbt.Xen.Abi;
using Dbt.Xen.Processor;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Processor;

/// <summary>SYSENTER and SYSCALL of ring 3, by vendor and with and without a callback.</summary>
public sealed unsafe class FastSystemCallTests
{
    private const uint SystemEnter = 5, SystemCall32 = 7;

    private static PvGuest Guest(string vendor)
    {
        var guest = new PvGuest();
        byte[] text = Encoding.ASCII.GetBytes(vendor);
        CpuidRegister[] order = [CpuidRegister.Ebx, CpuidRegister.Edx, CpuidRegister.Ecx];
        for (int i = 0; i < 3; i++)
        {
            uint word = BitConverter.ToUInt32(text, i * 4);
            guest.Domain.Cpuid.Apply(new CpuidChange(0, null, order[i], word, ~word));
        }

        Assert.Equal(0, guest.Call(3, Layout.FlatRing1Ds, PvGuest.KernelStackTop));
        return guest;
    }

    private static void Register(PvGuest guest, uint type, bool mask) =>
        Assert.Equal(0, guest.Call(30, 0, guest.Put(type | (mask ? 1u << 16 : 0), Layout.FlatRing1Cs, PvGuest.Handlers)));

    // Runs one instruction in ring 3 and keeps six words of the frame that its handler finds.
    private static void Run(PvGuest guest, byte opcode)
    {
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.mov(__dword_ptr[PvGuest.Data + 32], ecx);
            c.mov(__dword_ptr[PvGuest.Data], esp);
            for (int i = 0; i < 6; i++)
            {
                c.mov(eax, __dword_ptr[esp + (i * 4)]);
                c.mov(__dword_ptr[PvGuest.Data + 4 + (i * 4)], eax);
            }

            PvGuest.PowerOff(c);
        });
        guest.Assemble(PvGuest.User, c => c.db(0x0F, opcode));
        guest.Run(c =>
        {
            c.mov(__byte_ptr[PvGuest.SharedInfo + 1], 0);
            c.mov(eax, (int)Layout.FlatRing3Ds);
            c.mov(ds, eax);
            c.mov(es, eax);
            c.push((int)Layout.FlatRing3Ds);
            c.push((int)PvGuest.UserStackTop);
            c.push(0x202);
            c.push((int)Layout.FlatRing3Cs);
            c.push((int)PvGuest.User);
            c.iretd();
        });
    }

    private static uint Saved(PvGuest guest, int index) => guest.Word(PvGuest.Data + 4 + ((uint)index * 4));

    [Fact]
    public void Sysenter_of_an_Intel_enters_its_callback_from_nowhere()
    {
        using PvGuest guest = Guest("GenuineIntel");
        Register(guest, SystemEnter, mask: true);
        Run(guest, 0x34);
        Assert.Equal(PvGuest.KernelStackTop - 20, guest.Word(PvGuest.Data));
        Assert.Equal((0u, 3u, 0u, (uint)Layout.FlatRing3Ds), (Saved(guest, 0), Saved(guest, 1), Saved(guest, 3), Saved(guest, 4)));
        Assert.Equal(1, *guest.At(PvGuest.SharedInfo + 1));
    }

    [Fact]
    public void Syscall_of_an_Amd_enters_its_callback_and_keeps_the_return_address_in_ecx()
    {
        using PvGuest guest = Guest("AuthenticAMD");
        Register(guest, SystemCall32, mask: false);
        Run(guest, 0x05);
        Assert.Equal(PvGuest.User + 2, guest.Word(PvGuest.Data + 32));
        Assert.Equal(
            (PvGuest.User + 2, (uint)Layout.FlatRing3Cs, PvGuest.UserStackTop, (uint)Layout.FlatRing3Ds),
            (Saved(guest, 0), Saved(guest, 1), Saved(guest, 3), Saved(guest, 4)));
        Assert.Equal(0, *guest.At(PvGuest.SharedInfo + 1));
    }

    [Theory]
    [InlineData("GenuineIntel", 0x34, 13, false)]
    [InlineData("AuthenticAMD", 0x05, 13, false)]
    [InlineData("GenuineIntel", 0x05, 6, true)]
    [InlineData("AuthenticAMD", 0x34, 6, true)]
    public void Without_callback_or_with_the_other_vendor_it_is_a_fault_of_the_instruction(string vendor, byte opcode, int vector, bool registered)
    {
        using PvGuest guest = Guest(vendor);
        if (registered)
        {
            Register(guest, SystemEnter, mask: false);
            Register(guest, SystemCall32, mask: false);
        }

        guest.Trap(vector, PvGuest.Handlers);
        Run(guest, opcode);
        int code = vector == 13 ? 1 : 0;
        Assert.Equal(PvGuest.KernelStackTop - 20 - ((uint)code * 4), guest.Word(PvGuest.Data));
        Assert.Equal((PvGuest.User, (uint)Layout.FlatRing3Cs), (Saved(guest, code), Saved(guest, code + 1)));
    }
}
