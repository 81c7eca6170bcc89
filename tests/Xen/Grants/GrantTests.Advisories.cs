using Dbt.Translator.Memory;
using Dbt.Xen;
using Dbt.Xen.Grants;
using Dbt.Xen.Memory;

namespace Dbt.Tests.Xen.Grants;

/// <content>Xen's advisories on grants of version 1.</content>
public sealed unsafe partial class GrantTests
{
    [Fact]
    public void Xsa224CountsAreExactOverSeveralMappings()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        var (_, first) = Map(10, Host | ReadOnly, Target);
        var (_, second) = Map(10, Host, Target - 0x1000);
        var (_, third) = Map(10, Host | Device, Target - 0x2000);
        Assert.Equal((6u, 4u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        Assert.Equal(0, Unmap(second, Target - 0x1000));
        Assert.Equal(Permit | Reading | Writing, Flags(10));
        Assert.Equal(0, Unmap(third, Target - 0x2000));
        Assert.Equal(Permit | Reading | Writing, Flags(10)); // the device mapping is left
        Assert.Equal(-6, Unmap(third, 0, 0x1000));
        Assert.Equal(0, Unmap(third, 0, (ulong)_a.Pages[5] << 12));
        Assert.Equal(Permit | Reading, Flags(10));
        Assert.Equal(0, Unmap(first, Target));
        Assert.Equal(Permit, Flags(10));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        Assert.False(_b.Domain.Grants.MapsForeign(_a.Pages[5]));
    }

    [Fact]
    public void Xsa234AnUnmapChecksWhatItRemoves()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        var (_, handle) = Map(10, Host | ReadOnly);
        Assert.Equal(-1, Unmap(handle, 0x5000)); // another page
        Assert.Equal(-1, Unmap(handle, 0x40000000));
        Assert.Equal(-1, Unmap(handle, 0xF5800000));
        Assert.Equal(-1, Unmap(handle, 0x1_0003_F000));
        Assert.Equal(0, Unmap(handle, 0)); // nothing named, nothing done
        Assert.Equal(0, Unmap(handle, Target));

        // A writable mapping of the same page isn't ended by a read-only handle.
        var (_, writable) = Map(10, Host);
        var (_, readable) = Map(10, Host | ReadOnly, Target - 0x1000);
        Assert.Equal(-1, Unmap(readable, Target));
        Assert.Equal(0, Unmap(readable, Target - 0x1000));
        Assert.Equal(0, Unmap(writable, Target));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    [Fact]
    public void Xsa227EntriesNamedByAddressAreAligned()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        ulong entry = ((ulong)_b.L1 << 12) + (400 * 8);
        for (uint offset = 1; offset < 8; offset++)
        {
            Assert.Equal(-1, Map(10, Host | ContainsPte, entry + offset).Status);
        }

        Assert.Equal(-1, Map(10, Host | ContainsPte, (ulong)_b.L2 << 12).Status); // no L1
        Assert.Equal(-1, Map(10, Host | ContainsPte, (ulong)_b.Pages[0] << 12).Status);
        Assert.Equal(-1, Map(10, Host | ContainsPte, (ulong)_a.L1 << 12).Status);
        Assert.Equal(-1, Map(10, Host | ContainsPte, ulong.MaxValue & ~7ul).Status);
        Assert.Equal(Permit, Flags(10));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));

        var (status, handle) = Map(10, Host | ContainsPte, entry);
        Assert.Equal(0, status);
        Assert.True(_b.TryResolve(400 << 12, MemoryAccess.Write, user: false, out _, out _));
        Assert.Equal(0, Unmap(handle, entry));
        Assert.Equal(0ul, _b.Table(_b.L1)[400]);
    }

    [Fact]
    public void Xsa316ErrorPathsOfAMapRestoreEverything()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        for (int i = 0; i < 5; i++)
        {
            Assert.Equal(-1, Map(10, Host | Device, 0x40000000).Status);
            Assert.Equal(Permit, Flags(10));
            Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        }

        var (_, handle) = Map(10, Host);
        Assert.Equal(0u, handle); // no handle was lost
    }

    [Fact]
    public void Xsa448AnEmptyCopyDoesNothing() => Assert.Equal(0, Copy(9999, 99, 0, 0, 99, 0, 0, flags: 3));

    [Fact]
    public void Xsa295AnEntryThatKeepsChangingIsGivenUp()
    {
        // Another processor of the granting domain changes the header all the time; the mapper either gets it or gives up, and
        // leaves the counts as they were. That it comes back at all is what this shows.
        Put(10, Permit, 0, _a.Pages[5]);
        uint* header = (uint*)_hypervisor.Machine.Frame(_a.Get<uint>(0x2000)) + 20;
        bool stop = false;
        var changer = new Thread(() =>
        {
            for (uint i = 0; !Volatile.Read(ref stop); i++)
            {
                // Bits that mean nothing here: GTF_PWT and GTF_PCD.
                Interlocked.Or(ref *header, 0x60);
                Interlocked.And(ref *header, ~0x60u);
            }
        });
        changer.Start();
        for (int i = 0; i < 2000; i++)
        {
            if (_a.Domain.Grants.TryMapForBackend(10, writable: true, out GrantedPage? page))
            {
                page.Dispose();
            }
        }

        Volatile.Write(ref stop, true);
        changer.Join();
        Assert.Equal(Permit, Flags(10) & ~0x60u);
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    [Fact]
    public void Xsa228CountsAreExactUnderRaces()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        var second = new Vcpu(_b.Domain, 1);
        _b.Domain.Vcpus.Add(second);
        Assert.Equal(0, _b.Memory.SwitchBase(second, _b.L3));
        Parallel.For(0, 2, worker =>
        {
            Vcpu vcpu = worker == 0 ? _b.Vcpu : second;
            for (int i = 0; i < 2000; i++)
            {
                // Both map at the same address and end each other's mappings.
                var request = new GrantMap.MapRequest { HostAddress = Target, Flags = Host, Reference = 10, Domain = _a.Domain.Id };
                GrantMap.Map(vcpu, ref request);
                _ = GrantMap.Unmap(vcpu, Target, 0, 0, (uint)(i & 1));
                _ = GrantMap.Unmap(vcpu, Target, 0, 0, request.Handle);
            }
        });

        // Handles whose entry was overwritten by another mapping stay, as above; the page's own counts tell what is mapped now.
        bool mapped = PageTableEntry.IsPresent(_b.Table(_b.L1)[0x3F]);
        Assert.Equal(mapped ? (3u, 2u) : (2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    [Fact]
    public void XSA_218_of_two_that_end_one_mapping_at_a_time_one_does()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        Vcpu second = SecondProcessor();
        for (int i = 0; i < 500; i++)
        {
            var request = new GrantMap.MapRequest { HostAddress = Target, Flags = Host, Reference = 10, Domain = _a.Domain.Id };
            GrantMap.Map(_b.Vcpu, ref request);
            Assert.Equal(GrantStatus.Okay, request.Status);
            short[] ended = new short[2];
            Parallel.For(0, 2, worker => ended[worker] = (short)GrantMap.Unmap(worker == 0 ? _b.Vcpu : second, Target, 0, 0, request.Handle));
            Assert.Single(ended, static status => status == 0);
            Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        }

        Assert.Equal(Permit, Flags(10));
    }

    [Fact]
    public void XSA_236_host_and_device_mappings_of_one_grant_are_counted_apart_under_races()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        Vcpu second = SecondProcessor();
        Parallel.For(0, 2, worker =>
        {
            Vcpu vcpu = worker == 0 ? _b.Vcpu : second;
            ulong address = Target - (worker == 0 ? 0u : 0x1000u);
            for (int i = 0; i < 1000; i++)
            {
                var request = new GrantMap.MapRequest { HostAddress = address, Flags = worker == 0 ? Host | Device : Host, Reference = 10, Domain = _a.Domain.Id };
                GrantMap.Map(vcpu, ref request);
                Assert.Equal(GrantStatus.Okay, request.Status);
                Assert.Equal(GrantStatus.Okay, GrantMap.Unmap(vcpu, address, worker == 0 ? (ulong)_a.Pages[5] << 12 : 0, 0, request.Handle));
            }
        });
        Assert.Equal(Permit, Flags(10));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        Assert.False(_b.Domain.Grants.MapsForeign(_a.Pages[5]));
    }

    [Fact]
    public void XSA_226_a_transitive_entry_of_version_1_grants_nothing()
    {
        // GTF_transitive is no type of version 1: neither a map nor a copy follows it, however often.
        Grant(10, 3, _b, _a.Pages[5]);
        for (int i = 0; i < 100; i++)
        {
            Assert.Equal(-1, Map(10, Host).Status);
            Assert.NotEqual(0, Copy(10, _a.Domain.Id, 0, _b.Pages[6], 0x7FF0, 0, 64, 1));
        }

        Assert.Equal(3u, Flags(10));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    [Fact]
    public void XSA_318_a_copy_that_is_refused_holds_nothing_and_the_next_one_works()
    {
        Grant(10, PermitReadOnly, _b, _a.Pages[5]);
        _a.Put(0x5000, 0x1234567);
        for (int i = 0; i < 100; i++)
        {
            Assert.NotEqual(0, Copy(_b.Pages[6], 0x7FF0, 0, 10, _a.Domain.Id, 0, 64, 2)); // to what may only be read
            Assert.NotEqual(0, Copy(10, _a.Domain.Id, 4090, _b.Pages[6], 0x7FF0, 0, 64, 1)); // across its page
        }

        Assert.Equal(PermitReadOnly, Flags(10));
        Assert.Equal(0, Copy(10, _a.Domain.Id, 0, _b.Pages[6], 0x7FF0, 0, 64, 1));
        Assert.Equal(0x1234567, _b.Get<int>(0x6000));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    private Vcpu SecondProcessor()
    {
        var second = new Vcpu(_b.Domain, 1);
        _b.Domain.Vcpus.Add(second);
        Assert.Equal(0, _b.Memory.SwitchBase(second, _b.L3));
        return second;
    }
}
