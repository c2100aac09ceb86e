export default {
  name: 'map-view',
  props: { location: Object, camera: Boolean },
  methods: { getLocation() { return this.location }, chooseImage() { this.$emit('choose-image') } },
  mounted() { this.getLocation(); this.$refs.my.chooseImage(); this.navigator.geolocation = 1 },
}
