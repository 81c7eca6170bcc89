using Dbt.Perf;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Processor;

/// <summary>Xen's advisories on entries to a guest's kernel and on debugging, as far as other classes don't have them: hostile code that really runs.</summary>
public sealed unsafe class EntryAdvisoryTests
{
    private const uint Count = PvGuest.Data + 0x800, Where = PvGuest.Data + 0x804;

    [Theory]
    [InlineData(PvGuest.Unmapped)] // nothing is there
    [InlineData(0xF5800000u + 0x1000)] // the hypervisor's
    [InlineData(0xFFFFFFFCu)]
    [InlineData(4u)] // wraps
    public void XSA_259_a_software_interrupt_onto_an_impossible_stack_ends_the_guest_alone(uint stack)
    {
        using var hypervisor = new Hypervisor(64 << 20);
        using var neighbour = new PvGuest(hypervisor: hypervisor);
        using var guest = new PvGuest(hypervisor: hypervisor);
        guest.Trap(0x90, PvGuest.Handlers, level: 3);
        Assert.Equal(0, guest.Call(3, Layout.FlatRing1Ds, stack));
        guest.Assemble(PvGuest.Handlers, SmallDomain.PowerOff);
        guest.Assemble(PvGuest.User, c => c.@int(0x90));
        guest.Assemble(PvGuest.Code, ToUser);
        ShutdownReason reason = guest.Run();
        Assert.True(reason == ShutdownReason.Crash || stack == 4u, $"{reason}");
        neighbour.Run(SmallDomain.PowerOff);
    }

    [Fact]
    public void XSA_260_a_breakpoint_in_the_shadow_of_MOV_SS_comes_once_and_loops_nowhere()
    {
        using var guest = new PvGuest();
        guest.Trap(1, PvGuest.Handlers);
        guest.Trap(0x91, PvGuest.Handlers + 0x100, level: 1);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.inc(__dword_ptr[Count]);
            c.push(eax);
            c.mov(eax, 23);
            c.@int(0x82);
        });
        guest.Assemble(PvGuest.Handlers + 0x100, SmallDomain.PowerOff);
        Assert.Equal(0, guest.Call(8, 0, PvGuest.Data));
        Assert.Equal(0, guest.Call(8, 7, 0x000F0001)); // DR0: four bytes, read or written
        guest.Word(PvGuest.Data) = Layout.FlatRing1Ds;
        guest.Run(c =>
        {
            c.mov(ss, __word_ptr[PvGuest.Data]);
            c.@int(0x91);
        });
        Assert.InRange(guest.Word(Count), 0u, 2u);
    }

    [Fact]
    public void XSA_265_single_steps_are_the_guests_own_and_leak_nothing_of_a_hypercall()
    {
        using var guest = new PvGuest();
        guest.Trap(1, PvGuest.Handlers);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            // Where it was, the first eight times; then no more steps.
            Label more = c.CreateLabel();
            c.push(eax);
            c.push(ecx);
            c.mov(ecx, __dword_ptr[Count]);
            c.mov(eax, __dword_ptr[esp + 8]);
            c.mov(__dword_ptr[ecx * 4 + Where], eax);
            c.inc(__dword_ptr[Count]);
            c.cmp(__dword_ptr[Count], 8);
            c.jb(more);
            SmallDomain.PowerOff(c);
            c.Label(ref more);
            c.pop(ecx);
            c.mov(eax, 23); // iret takes EAX from above the frame, where it was saved
            c.@int(0x82);
        });
        guest.Run(c =>
        {
            c.pushfd();
            c.or(__dword_ptr[esp], 0x100);
            c.popfd();
            c.mov(eax, 17);
            c.xor(ebx, ebx);
            c.@int(0x82); // xen_version
            c.nop();
            Label here = c.CreateLabel();
            c.Label(ref here);
            c.nop();
            c.jmp(here);
        });
        Assert.Equal(8u, guest.Word(Count));
        for (uint i = 0; i < 8; i++)
        {
            Assert.InRange(guest.Word(Where + (i * 4)), PvGuest.Code, PvGuest.Code + 0x40);
        }
    }

    [Fact]
    public void XSA_339_what_a_processor_has_no_callback_for_is_the_guests_fault_and_not_a_second_one()
    {
        using var guest = new PvGuest();
        guest.Trap(13, PvGuest.Handlers);
        guest.Trap(6, PvGuest.Handlers);
        Assert.Equal(0, guest.Call(3, Layout.FlatRing1Ds, PvGuest.KernelStackTop));
        guest.Assemble(PvGuest.Handlers, SmallDomain.PowerOff);
        guest.Assemble(PvGuest.User, c =>
        {
            // With NT and AC set, as by a program that means harm.
            c.push(0x44202);
            c.popfd();
            c.sysenter();
        });
        guest.Run(ToUser);
    }

    private static void ToUser(Assembler c)
    {
        c.mov(eax, (int)Layout.FlatRing3Ds);
        c.mov(ds, eax);
        c.mov(es, eax);
        c.push((int)Layout.FlatRing3Ds);
        c.push((int)PvGuest.UserStackTop);
        c.push(0x202);
        c.push((int)Layout.FlatRing3Cs);
        c.push((int)PvGuest.User);
        c.iretd();
    }
}
