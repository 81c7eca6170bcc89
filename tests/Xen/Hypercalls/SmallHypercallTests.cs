using System.Text;
using Dbt.Tests.Xen.Processor;
using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Hypercalls;

/// <summary>The table, multicall, and the small hypercalls, with good and hostile arguments.</summary>
public sealed unsafe class SmallHypercallTests
{
    private const int Multicall = 13, XenVersion = 17, ConsoleIo = 18, PhysdevOp = 33, VmAssist = 21, CallbackOp = 30, NmiOp = 28;

    private static string Text(PvGuest guest, uint at, int length) =>
        Encoding.ASCII.GetString(new ReadOnlySpan<byte>(guest.At(at), length)).TrimEnd('\0');

    [Fact]
    public void Every_row_is_named_as_the_header_has_it_and_counted()
    {
        foreach (HypercallRow row in HypercallTable.Rows.OfType<HypercallRow>())
        {
            Assert.Equal(HypercallNames.Of(row.Number), row.Name);
            Assert.InRange(row.ArgumentCount, 0, 6);
        }

        using var guest = new PvGuest();
        guest.Call(XenVersion, 0);
        guest.Call(XenVersion, 0);
        Assert.Equal(2, guest.Domain.HypercallCounts["xen_version"]);
    }

    [Theory]
    [InlineData(11)]
    [InlineData(43)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(0x7FFFFFFF)]
    [InlineData(-1)]
    public void XSA_296_a_number_without_a_row_is_refused_and_said_once(int number)
    {
        using var guest = new PvGuest();
        Assert.Equal(-Errno.ENOSYS, guest.Call(number));
        Assert.Equal(-Errno.ENOSYS, guest.Call(number));
        Assert.Single(guest.Domain.Log.Lines, line => line.StartsWith("hypercall", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(7, Errno.EPERM)]
    [InlineData(25, Errno.ENOSYS)]
    [InlineData(27, Errno.ENOSYS)]
    [InlineData(31, Errno.ENOSYS)]
    [InlineData(35, Errno.EPERM)]
    [InlineData(36, Errno.EPERM)]
    [InlineData(37, Errno.EPERM)]
    [InlineData(38, Errno.ENOSYS)]
    [InlineData(39, Errno.ENOSYS)]
    [InlineData(40, Errno.EOPNOTSUPP)]
    [InlineData(48, Errno.ENOSYS)]
    public void What_is_not_for_an_ordinary_domain_is_refused(int number, int error)
    {
        using var guest = new PvGuest();
        Assert.Equal(-error, guest.Call(number, 1, PvGuest.Arguments));
    }

    [Fact]
    public void Version_and_its_structures()
    {
        using var guest = new PvGuest();
        new Span<byte>(guest.At(PvGuest.Data), 4096).Fill(0xEE);
        Assert.Equal(0x40011, guest.Call(XenVersion, 0));
        Assert.Equal(0, guest.Call(XenVersion, 3, PvGuest.Data));
        Assert.Contains("xen-3.0-x86_32p", Text(guest, PvGuest.Data, 1024));
        Assert.Equal(0, guest.Call(XenVersion, 5, PvGuest.Data));
        Assert.Equal(Layout.HypervisorStart, guest.Word(PvGuest.Data));
        guest.Word(PvGuest.Data) = 0;
        Assert.Equal(0, guest.Call(XenVersion, 6, PvGuest.Data));
        Assert.Equal(0x000220E0u, guest.Word(PvGuest.Data + 4));
        guest.Call(VmAssist, 0, 3);
        Assert.Equal(0, guest.Call(XenVersion, 6, PvGuest.Data));
        Assert.Equal(0x000220F0u, guest.Word(PvGuest.Data + 4));
        guest.Word(PvGuest.Data) = 1;
        Assert.Equal(-Errno.EINVAL, guest.Call(XenVersion, 6, PvGuest.Data));
        Assert.Equal(4096, guest.Call(XenVersion, 7, 0));
        Assert.Equal(-Errno.EINVAL, guest.Call(XenVersion, 7, 1));
        Assert.Equal(0, guest.Call(XenVersion, 8, PvGuest.Data));
        Assert.Equal(guest.Domain.Uuid, new Guid(new ReadOnlySpan<byte>(guest.At(PvGuest.Data), 16), true));
        int size = guest.Call(XenVersion, 10, 0);
        Assert.Equal(20, size);
        Assert.Equal(-Errno.ENOBUFS, guest.Call(XenVersion, 10, guest.Put(19)));
        Assert.Equal(-Errno.EINVAL, guest.Call(XenVersion, 10, guest.Put(0)));
        Assert.Equal(size, guest.Call(XenVersion, 10, guest.Put(100)));
        Assert.Equal(-Errno.ENOSYS, guest.Call(XenVersion, 11, PvGuest.Data));
    }

    [Theory]
    [InlineData(1u, 16)]
    [InlineData(2u, 144)]
    [InlineData(3u, 1024)]
    [InlineData(4u, 64)]
    [InlineData(9u, 1024)]
    public void XSA_122_a_reply_is_written_whole_and_holds_nothing_else(uint command, int size)
    {
        using var guest = new PvGuest();
        uint at = PvGuest.Data + 0x100;
        new Span<byte>(guest.At(PvGuest.Data), 4096).Fill(0xEE);
        Assert.Equal(0, guest.Call(XenVersion, command, at));
        Assert.DoesNotContain((byte)0xEE, new ReadOnlySpan<byte>(guest.At(at), size).ToArray());
        Assert.Equal(0xEE, *guest.At(at + (uint)size));
        Assert.Equal(-Errno.EFAULT, guest.Call(XenVersion, command, PvGuest.Unmapped));
        Assert.Equal(-Errno.EFAULT, guest.Call(XenVersion, command, Layout.HypervisorStart));
        Assert.Equal(-Errno.EFAULT, guest.Call(XenVersion, command, 0xFFFFFFF8));
        Assert.Equal(-Errno.EFAULT, guest.Call(XenVersion, command, PvGuest.Table));
    }

    [Fact]
    public void Console_output_goes_to_the_log_and_the_sink()
    {
        using var guest = new PvGuest();
        var sink = new StringBuilder();
        guest.Domain.EmergencyConsole = text => sink.Append(Encoding.ASCII.GetString(text));
        "hello\u0007 world\nrest"u8.CopyTo(new Span<byte>(guest.At(PvGuest.Data), 64));
        Assert.Equal(0, guest.Call(ConsoleIo, 0, 17, PvGuest.Data));
        Assert.Contains("hello world", guest.Domain.Log.Lines);
        Assert.Equal("hello\u0007 world\nrest", sink.ToString());
        Assert.Equal(0, guest.Call(ConsoleIo, 1, 10, PvGuest.Data));
        Assert.Equal(-Errno.ENOSYS, guest.Call(ConsoleIo, 2, 10, PvGuest.Data));
        Assert.Equal(-Errno.EFAULT, guest.Call(ConsoleIo, 0, uint.MaxValue, PvGuest.Unmapped));
        Assert.Equal(-Errno.EFAULT, guest.Call(ConsoleIo, 0, uint.MaxValue, PvGuest.Data));
    }

    [Fact]
    public void A_long_console_write_comes_back_where_something_waits()
    {
        using var guest = new PvGuest();
        guest.Cpu->Attention = 1;
        guest.Call(ConsoleIo, 0, 1000, PvGuest.Data);
        Assert.Equal(new HypercallArguments(0, 872, PvGuest.Data + 128, 0, 0, 0), guest.Vcpu.Continuation);
    }

    [Fact]
    public void Assists_are_known_or_refused()
    {
        using var guest = new PvGuest();
        for (uint type = 0; type < 6; type++)
        {
            Assert.Equal(0, guest.Call(VmAssist, 0, type));
        }

        Assert.Equal(0x3Fu, guest.Domain.VmAssist);
        Assert.Equal(0, guest.Call(VmAssist, 1, 2));
        Assert.Equal(0x3Bu, guest.Domain.VmAssist);
        Assert.Equal(-Errno.ENOSYS, guest.Call(VmAssist, 2, 2));
        foreach (uint type in new uint[] { 6, 31, 32, 33, uint.MaxValue })
        {
            Assert.Equal(-Errno.EINVAL, guest.Call(VmAssist, 0, type));
        }
    }

    [Fact]
    public void Physical_device_operations_have_sensible_answers()
    {
        using var guest = new PvGuest();
        Assert.Equal(-Errno.EINVAL, guest.Call(PhysdevOp, 6, guest.Put(4)));
        Assert.Equal(-Errno.EINVAL, guest.Call(PhysdevOp, 7, guest.Put(PvGuest.Data, 65537)));
        Assert.Equal(-Errno.EINVAL, guest.Call(PhysdevOp, 7, guest.Put(Layout.HypervisorStart - 100, 8)));
        Assert.Equal(-Errno.EINVAL, guest.Call(PhysdevOp, 28, guest.Put(guest.Root)));
        Assert.Equal(0, guest.Call(PhysdevOp, 28, guest.Put(guest.MfnOf(PvGuest.Data))));
        Assert.Equal(-Errno.EBUSY, guest.Call(PhysdevOp, 28, guest.Put(guest.MfnOf(PvGuest.User))));
        Assert.Equal(0, guest.Call(PhysdevOp, 5, guest.Put(3, 0)));
        Assert.Equal(1u, guest.Reply(1));
        Assert.Equal(-Errno.EINVAL, guest.Call(PhysdevOp, 5, guest.Put(uint.MaxValue, 0)));
        Assert.Equal(-Errno.EPERM, guest.Call(PhysdevOp, 13, guest.Put(0)));
        Assert.Equal(-Errno.ENOSYS, guest.Call(PhysdevOp, 99, guest.Put(0)));
        foreach (uint command in new uint[] { 5, 6, 7, 12, 14, 17, 23, 28 })
        {
            Assert.Equal(-Errno.EFAULT, guest.Call(PhysdevOp, command, PvGuest.Unmapped));
            Assert.Equal(-Errno.EFAULT, guest.Call(PhysdevOp, command, 0xFFFFFFFF));
        }

        Assert.Equal(0, guest.Call(19, guest.Put(6, 2)));
        Assert.Equal(2u << 12, guest.Vcpu.Iopl);
        Assert.Equal(-Errno.ENOSYS, guest.Call(19, guest.Put(28, 2)));
        Assert.Equal(-Errno.EFAULT, guest.Call(19, PvGuest.Unmapped));
    }

    [Fact]
    public void Callbacks_are_set_in_both_ways_and_never_in_ring_0()
    {
        using var guest = new PvGuest();
        Assert.Equal(0, guest.Call(4, 8, 0x1000, 0x10, 0x2000));
        Assert.Equal(((ushort)9, 0x1000u), guest.Vcpu.Callbacks.Event);
        Assert.Equal(((ushort)0x11, 0x2000u), guest.Vcpu.Callbacks.Failsafe);
        Assert.Equal(0, guest.Call(CallbackOp, 0, guest.Put(0, Layout.FlatRing1Cs, 0x3000)));
        Assert.Equal((Layout.FlatRing1Cs, 0x3000u), guest.Vcpu.Callbacks.Event);
        Assert.Equal(0, guest.Call(CallbackOp, 0, guest.Put(1 | (1 << 16), Layout.FlatRing1Cs, 0x3000)));
        Assert.True(guest.Vcpu.Callbacks.FailsafeMasksEvents);
        Assert.Equal(-Errno.ENOSYS, guest.Call(CallbackOp, 0, guest.Put(99, 0, 0)));
        Assert.Equal(-Errno.EINVAL, guest.Call(CallbackOp, 1, guest.Put(0)));
        Assert.Equal(0, guest.Call(CallbackOp, 1, guest.Put(4)));
        Assert.Equal(-Errno.ENOSYS, guest.Call(CallbackOp, 1, guest.Put(2)));
        Assert.Equal(-Errno.EINVAL, guest.Call(CallbackOp, 2, guest.Put(0)));
        Assert.Equal(-Errno.EFAULT, guest.Call(CallbackOp, 0, PvGuest.Unmapped));
        Assert.Equal(-Errno.EFAULT, guest.Call(CallbackOp, 1, PvGuest.Unmapped));
    }

    [Fact]
    public void An_nmi_enters_its_handler_once_until_it_ends()
    {
        using var guest = new PvGuest();
        Assert.Equal(0, guest.Call(NmiOp, 0, guest.Put(PvGuest.Handlers, 0)));
        Assert.Equal(-Errno.EFAULT, guest.Call(NmiOp, 0, PvGuest.Unmapped));
        Assert.Equal(-Errno.ENOSYS, guest.Call(NmiOp, 7));
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.inc(__dword_ptr[PvGuest.Data]);
            PvGuest.Hypercall(c, 24, 11, 0);
            c.mov(eax, __dword_ptr[PvGuest.Data]);
            c.cmp(eax, 2);
            Label done = c.CreateLabel();
            c.je(done);
            c.mov(__dword_ptr[PvGuest.Data + 4], eax);
            c.push(eax);
            c.mov(eax, 23);
            c.@int(0x82);
            c.Label(ref done);
            PvGuest.PowerOff(c);
        });
        guest.Run(c =>
        {
            PvGuest.Hypercall(c, 24, 11, 0);
            c.ud2();
        });
        Assert.Equal([2u, 1u], [guest.Word(PvGuest.Data), guest.Word(PvGuest.Data + 4)]);
    }

    [Fact]
    public void A_trap_table_is_read_to_its_end_and_can_be_cleared()
    {
        using var guest = new PvGuest();
        guest.Trap(3, 0x1234, 3);
        Assert.Equal(0x1234u, guest.Vcpu.Traps[3].Address);
        Assert.Equal(-Errno.EFAULT, guest.Call(0, PvGuest.Unmapped));

        // A list that runs into nowhere has set what came before.
        uint last = PvGuest.SharedInfo + 0xFF8;
        guest.Word(last) = 4 | ((uint)Layout.FlatRing1Cs << 16);
        guest.Word(last + 4) = 0x5678;
        Assert.Equal(-Errno.EFAULT, guest.Call(0, last));
        Assert.Equal(0x5678u, guest.Vcpu.Traps[4].Address);
        Assert.Equal(0, guest.Call(0, 0));
        Assert.False(guest.Vcpu.Traps[3].IsSet);
    }

    [Fact]
    public void A_multicall_runs_its_entries_and_refuses_another_one_within()
    {
        using var guest = new PvGuest();
        var entries = (uint*)guest.At(PvGuest.Data);
        void Entry(int index, uint operation, uint a1 = 0, uint a2 = 0)
        {
            (entries[index * 8], entries[(index * 8) + 1]) = (operation, 0xEEEEEEEE);
            (entries[(index * 8) + 2], entries[(index * 8) + 3]) = (a1, a2);
        }

        Entry(0, XenVersion);
        Entry(1, Multicall, PvGuest.Data, 1);
        Entry(2, 11);
        Entry(3, uint.MaxValue);
        Entry(4, 5, 1);
        Assert.Equal(0, guest.Call(Multicall, PvGuest.Data, 5));
        Assert.Equal(
            [0x40011u, unchecked((uint)-Errno.EINVAL), unchecked((uint)-Errno.ENOSYS), unchecked((uint)-Errno.ENOSYS), 0u],
            [entries[1], entries[9], entries[17], entries[25], entries[33]]);
        Assert.NotEqual(0u, guest.Cpu->Cr0 & 8);
        Assert.Equal(0, guest.Call(Multicall, PvGuest.Data, 0));
        Assert.Equal(-Errno.EFAULT, guest.Call(Multicall, PvGuest.Unmapped, 1));
        Assert.Equal(-Errno.EFAULT, guest.Call(Multicall, PvGuest.Data, uint.MaxValue));
        Assert.Equal(-Errno.EFAULT, guest.Call(Multicall, 0xFFFFFFE0, 1));
        Assert.Equal(-Errno.EFAULT, guest.Call(Multicall, PvGuest.Table, 1));
    }

    [Fact]
    public void XSA_111_an_interrupted_multicall_goes_on_with_its_next_entry()
    {
        using var guest = new PvGuest();
        ((uint*)guest.At(PvGuest.Data))[0] = XenVersion;
        guest.Cpu->Attention = 1;
        guest.Call(Multicall, PvGuest.Data, 3);
        Assert.Equal(0x40011u, guest.Word(PvGuest.Data + 4));
        Assert.Equal(new HypercallArguments(PvGuest.Data + 32, 2, 0, 0, 0, 0), guest.Vcpu.Continuation);
    }

    [Fact]
    public void XSA_111_an_entry_that_was_interrupted_is_written_back_to_be_continued()
    {
        using var guest = new PvGuest();
        var entry = (uint*)guest.At(PvGuest.Data);
        (entry[0], entry[2], entry[3], entry[4]) = (ConsoleIo, 0, 1000, PvGuest.User);
        guest.Cpu->Attention = 1;
        guest.Call(Multicall, PvGuest.Data, 1);
        Assert.Equal([872u, PvGuest.User + 128], [entry[3], entry[4]]);
        Assert.Equal(new HypercallArguments(PvGuest.Data, 1, 0, 0, 0, 0), guest.Vcpu.Continuation);
    }

    [Fact]
    public void XSA_213_a_multicall_ends_where_an_iret_leaves_the_kernel()
    {
        using var guest = new PvGuest();
        guest.Trap(0x80, PvGuest.Handlers, 3);
        guest.Call(3, Layout.FlatRing1Ds, PvGuest.KernelStackTop);
        uint* entries = (uint*)guest.At(PvGuest.Data);
        entries[0] = 23;
        (entries[8], entries[9]) = (5, 0xEEEEEEEE);
        guest.Assemble(PvGuest.User, c => c.@int(0x80));
        guest.Assemble(PvGuest.Handlers, PvGuest.PowerOff);
        guest.Run(c =>
        {
            c.mov(eax, (int)Layout.FlatRing3Ds);
            c.mov(ds, eax);
            c.push((int)Layout.FlatRing3Ds);
            c.push((int)PvGuest.UserStackTop);
            c.push((int)(Flags.If | Flags.Fixed));
            c.push((int)Layout.FlatRing3Cs);
            c.push((int)PvGuest.User);
            c.push(0x77);
            PvGuest.Hypercall(c, Multicall, PvGuest.Data, 2);
            c.ud2();
        });
        Assert.Equal(0xEEEEEEEEu, entries[9]);
        Assert.Equal(0x77u, entries[1]);
    }

    [Fact]
    public void Int_82_in_ring_3_is_no_hypercall()
    {
        using var guest = new PvGuest();
        guest.Trap(13, PvGuest.Handlers);
        guest.Call(3, Layout.FlatRing1Ds, PvGuest.KernelStackTop);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.pop(__dword_ptr[PvGuest.Data]);
            PvGuest.PowerOff(c);
        });
        guest.Assemble(PvGuest.User, c =>
        {
            c.mov(eax, 21);
            c.xor(ebx, ebx);
            c.xor(ecx, ecx);
            c.@int(0x82);
        });
        guest.Run(c =>
        {
            c.mov(eax, (int)Layout.FlatRing3Ds);
            c.mov(ds, eax);
            c.push((int)Layout.FlatRing3Ds);
            c.push((int)PvGuest.UserStackTop);
            c.push(0x202);
            c.push((int)Layout.FlatRing3Cs);
            c.push((int)PvGuest.User);
            c.iretd();
        });
        Assert.Equal((0x82u << 3) | 2, guest.Word(PvGuest.Data));
        Assert.Equal(0u, guest.Domain.VmAssist);
    }

    [Fact]
    public void Every_hypercall_survives_random_arguments()
    {
        var random = new Random(12345);
        using var guest = new PvGuest(2);
        uint[] interesting = [0, 1, 2, 0x7FF0, PvGuest.Arguments, PvGuest.Data, PvGuest.Table, PvGuest.Unmapped, Layout.HypervisorStart - 4, 0xFFFFFFFC, uint.MaxValue];
        uint Any() => random.Next(3) == 0 ? (uint)random.NextInt64(1L << 32) : interesting[random.Next(interesting.Length)];
        for (int i = 0; i < 60_000 && !guest.Domain.IsStopped; i++)
        {
            int number = random.Next(Layout.MaxHypercalls);
            uint command = (uint)random.Next(32);
            if (number is 6 or 29 or 23 or 24)
            {
                // These stop the domain or its processors by design.
                continue;
            }

            for (uint word = 0; word < 16; word++)
            {
                guest.Word(PvGuest.Arguments + (word * 4)) = Any();
            }

            guest.Call(number, random.Next(2) == 0 ? command : Any(), Any(), Any(), Any());
            guest.Vcpu.Continuation = null;
            guest.Cpu->Attention = random.Next(4) == 0 ? 1 : 0;
        }

        Assert.False(guest.Domain.IsStopped, guest.Domain.CrashReport?.Reason);
    }
}
